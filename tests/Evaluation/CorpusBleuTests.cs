using System.Text.Json;

namespace Trainer.Evaluation.Tests;

public sealed class CorpusBleuTests
{
    private static readonly string[] Hypotheses = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."];

    private static readonly string[][] References =
    [
        ["The dog bit the man.", "It was not unexpected.", "The man bit him first."],
        ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."],
    ];

    private static readonly JsonElement Fixture = JsonDocument.Parse(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Bleu", "Fixtures", "bleu.json"))).RootElement;

    // The example of sacrebleu's README, and the figures of its own tests.
    [Fact]
    public void The_example_of_sacrebleu_has_its_score()
    {
        BleuScore score = CorpusBleu.Score(Hypotheses, References);

        Assert.Equal(48.530827, score.Score, 1e-6);
        Assert.StartsWith("BLEU|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:trainer-", score.ToString(), StringComparison.Ordinal);
        Assert.EndsWith(" = 48.53 82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)", score.ToString(),
            StringComparison.Ordinal);
        Assert.Equal(49.1919566, CorpusBleu.Score(Hypotheses, References, new() { Tokenization = BleuTokenization.None }).Score, 1e-6);
        Assert.Equal(48.530827, CorpusBleu.Score(Hypotheses, References, new() { Smoothing = BleuSmoothing.None }).Score, 1e-6);
    }

    [Theory]
    [InlineData(BleuTokenization.Mteval13a, BleuSmoothing.Exponential, 8.493)]
    [InlineData(BleuTokenization.Mteval13a, BleuSmoothing.None, 0)]
    [InlineData(BleuTokenization.None, BleuSmoothing.Exponential, 7.347)]
    public void A_sentence_of_sacrebleus_tests_has_its_score(BleuTokenization tokenization, BleuSmoothing smoothing, double expected)
    {
        BleuScore score = CorpusBleu.Score(
            ["Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"],
            ["producţia de zahăr brut se exprimă în zahăr alb;"],
            new BleuOptions { Tokenization = tokenization, Smoothing = smoothing, EffectiveOrder = true });
        Assert.Equal(expected, score.Score, 1e-3);
    }

    [Fact]
    public void It_agrees_with_an_independent_computation()
    {
        foreach (JsonElement entry in Fixture.GetProperty("cases").EnumerateArray())
        {
            BleuScore score = CorpusBleu.Score(
                Strings(entry.GetProperty("hypotheses")), [.. entry.GetProperty("references").EnumerateArray().Select(Strings)]);
            Assert.Equal(entry.GetProperty("score").GetDouble(), score.Score, 1e-9);
        }
    }

    [Fact]
    public void Words_are_cut_as_an_independent_scanner_cuts_them()
    {
        foreach (JsonElement entry in Fixture.GetProperty("cuts").EnumerateArray())
            Assert.Equal(Strings(entry.GetProperty("words")), Mteval13a.Tokenize(entry.GetProperty("text").GetString()!));
    }

    [Theory]
    [InlineData("Hello, world!", "Hello , world !")]
    [InlineData("It costs 1,000.50 dollars.", "It costs 1,000.50 dollars .")]
    [InlineData("pages 5-6 of state-of-the-art", "pages 5 - 6 of state-of-the-art")]
    [InlineData("don't &quot;quote&quot; &amp;c", "don't \" quote \" & c")]
    [InlineData("a/b <skipped>[c]", "a / b [ c ]")]
    public void Words_are_split_by_the_rules_of_13a(string text, string words) => Assert.Equal(words, string.Join(' ', Mteval13a.Tokenize(text)));

    [Fact]
    public void A_reference_scores_100_and_what_shares_nothing_with_it_0()
    {
        Assert.Equal(100, CorpusBleu.Score(Hypotheses, Hypotheses).Score, 1e-9);
        Assert.Equal(0, CorpusBleu.Score(["", "", ""], References).Score);
        Assert.Equal(0, CorpusBleu.Score(["this is a cat"], ["okay thanks"]).Score);
        Assert.Equal(0, CorpusBleu.Score(["a test"], ["a test"]).Score); // too short for 4-grams
        Assert.Equal(100, CorpusBleu.Score(["a test"], ["a test"], new BleuOptions { EffectiveOrder = true }).Score, 1e-9);
        Assert.Equal(100, CorpusBleu.Score(["THE DOG BIT ME"], ["the dog bit me"], new BleuOptions { Lowercase = true }).Score, 1e-9);
    }

    [Fact]
    public void It_is_of_the_corpus_not_a_mean_of_sentences()
    {
        string[] one = ["The dog bit the man today."], other = ["A cat sat on the mat and slept there."];
        string[] oneReference = ["The dog bit the man yesterday."], otherReference = ["A cat sat on a mat and slept."];
        double mean = (CorpusBleu.Score(one, oneReference).Score + CorpusBleu.Score(other, otherReference).Score) / 2;

        Assert.NotEqual(mean, CorpusBleu.Score([.. one, .. other], [.. oneReference, .. otherReference]).Score, 1e-2);
    }

    [Fact]
    public void Numbers_of_sentences_that_differ_are_refused()
    {
        var error = Assert.Throws<ArgumentException>(() => CorpusBleu.Score(Hypotheses, ["one"]));
        Assert.StartsWith("a reference has 1 sentences, but there are 3 hypotheses", error.Message, StringComparison.Ordinal);
    }

    private static string[] Strings(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetString()!)];
}
