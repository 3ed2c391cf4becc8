using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

/// <summary>Trained byte-pair tokenizers.</summary>
public sealed class BpeTokenizerTests : IDisposable
{
    private const string Prose = "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox doesn't. In 1984 the café was "
        + "closed, in 1985 it wasn't.\n";
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(SplitPattern.Gpt2)]
    [InlineData(SplitPattern.Cl100k)]
    public void Any_text_and_any_bytes_come_back(SplitPattern pattern)
    {
        var tokenizer = Learn(new BpeTokenizerOptions { VocabularySize = 320, Pattern = pattern });
        Prop.ForAll(UnicodeText.Texts, text => Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)))).Holds();
        Prop.ForAll(Gen.Choose(0, 255).ListOf().ToArbitrary(), values =>
        {
            byte[] bytes = [.. values.Select(value => (byte)value)];
            Assert.Equal(bytes, tokenizer.DecodeBytes(tokenizer.Encode((ReadOnlySpan<byte>)bytes)));
        }).Holds();
    }

    [Fact]
    public void Text_is_merged_in_the_order_that_was_learned()
    {
        var options = new BpeTokenizerOptions { VocabularySize = 330 };
        var tokenizer = Learn(options);
        var learned = MergeLearner.Learn(MergeLearnerTests.Words(Prose + Prose), [], options.VocabularySize, options.MinimumFrequency);
        foreach (var word in new[] { "The", " quick", " café", " foxes", "doesn" })
        {
            var parts = Encoding.UTF8.GetBytes(word).Select(value => ByteLevelAlphabet.Symbol(value).ToString()).ToList();
            foreach (var (left, right) in learned.Merges)
                for (var i = 0; i + 1 < parts.Count; i++)
                    if (parts[i] == left && parts[i + 1] == right)
                    {
                        parts[i] += right;
                        parts.RemoveAt(i + 1);
                    }
            Assert.Equal(parts.Select(part => learned.Tokens.ToList().IndexOf(part)), tokenizer.Encode(word));
        }
        Assert.True(tokenizer.Encode(Prose).Length < Prose.Length / 2);
    }

    [Fact]
    public void Special_tokens_have_the_first_ids_and_are_never_split()
    {
        var tokenizer = Learn(new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["<|endoftext|>", "<|pad|>"] });
        Assert.Equal(300, tokenizer.VocabularySize);
        Assert.Equal([0, 1], tokenizer.SpecialTokens.Order());
        Assert.Equal([.. tokenizer.Encode("a"), 0, .. tokenizer.Encode("b")], tokenizer.Encode("a<|endoftext|>b"));
    }

    [Fact]
    public void Class_and_separator_stand_around_texts_as_in_BERT()
    {
        var learned = Learn(new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["[MASK]", "[SEP]", "[CLS]"] });
        learned.Save(folder["frame.json"]);
        foreach (var tokenizer in new[] { learned, Tokenizer.Load(folder["frame.json"]) })
        {
            int[] a = tokenizer.Encode("fox"), b = tokenizer.Encode("dog");
            Assert.Equal([2, .. a, 1], tokenizer.EncodeWithSpecialTokens("fox"));
            Assert.Equal([2, .. a, 1, .. b, 1], tokenizer.EncodeWithSpecialTokens("fox", "dog"));
            Assert.Equal([2], tokenizer.Template.Before);
            Assert.Equal([1], tokenizer.Template.After);
        }
        Assert.Equal(0, Learn(new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["[SEP]"] }).Template.Length);
    }

    [Fact]
    public void The_file_brings_it_back()
    {
        var tokenizer = Learn(new BpeTokenizerOptions { VocabularySize = 310, Pattern = SplitPattern.Cl100k });
        tokenizer.Save(folder["tokenizer.json"]);
        Assert.Equal(tokenizer.Encode(Prose), Tokenizer.Load(folder["tokenizer.json"]).Encode(Prose));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void The_number_of_threads_changes_nothing(int threads)
    {
        BpeTokenizerOptions options = new() { VocabularySize = 310, Pattern = SplitPattern.Cl100k };
        var trainer = new BpeTrainer(options, threads);
        trainer.Observe(Prose);
        trainer.Observe(Prose);
        Assert.True(JsonNode.DeepEquals(Learn(options).ToJson(), trainer.Build().ToJson()));
    }

    [Fact]
    public void A_text_without_repetitions_leaves_bytes_alone() =>
        Assert.Equal(256, Learn(new BpeTokenizerOptions { MinimumFrequency = 1000 }).VocabularySize);

    private static Tokenizer Learn(BpeTokenizerOptions options)
    {
        var trainer = options.CreateTrainer();
        trainer.Observe(Prose);
        trainer.Observe(Prose);
        return trainer.Build();
    }
}

public sealed class SplitPatternTests
{
    private const int LongS = 0x17F;

    /// <summary>Text of everything the expressions distinguish, within the Basic Multilingual Plane, where .NET's engine agrees;
    /// without the long s, an s to every engine except .NET's, which has its own test.</summary>
    private static readonly Arbitrary<string> Texts = Gen.OneOf(
            Gen.Elements(" ", "  ", "\n", "\r\n", "\n\n", "\t", "'s", "'re", "'LL", "'", "it", "Été", "Ω", "中文", "1", "1234", "²", "٣", "!",
                "...", "-\n", "\u0301", "\u00A0", "\u0085", "\u3000", "\u001C", "_"),
            Gen.Choose(0x20, 0x3100).Where(value => value != LongS).Select(value => ((char)value).ToString()))
        .ListOf().Select(string.Concat).ToArbitrary();

    [Theory]
    [InlineData(SplitPattern.Gpt2)]
    [InlineData(SplitPattern.Cl100k)]
    public void Words_are_the_matches_of_the_expression(SplitPattern pattern)
    {
        var regex = new Regex(pattern.Expression(), RegexOptions.CultureInvariant);
        Prop.ForAll(Texts, text => Assert.Equal(regex.Matches(text).Select(match => match.Value), Words(pattern, text))).Holds(cases: 2000);
    }

    [Theory]
    [InlineData(SplitPattern.Gpt2, "a𠀀b 𝟙𝟚𝟛𝟜 😀!", new[] { "a𠀀b", " 𝟙𝟚𝟛𝟜", " 😀!" })]
    [InlineData(SplitPattern.Cl100k, "a𠀀b𝟙𝟚𝟛𝟜😀𠀀", new[] { "a𠀀b", "𝟙𝟚𝟛", "𝟜", "😀𠀀" })]
    [InlineData(SplitPattern.Cl100k, "we'ſ it'S", new[] { "we", "'ſ", " it", "'S" })]
    public void Characters_beyond_the_basic_plane_are_what_they_are(SplitPattern pattern, string text, string[] words) =>
        Assert.Equal(words, Words(pattern, text));

    [Fact]
    public void Words_put_together_are_the_text() =>
        Prop.ForAll(UnicodeText.Texts, text =>
        {
            Assert.Equal(text, string.Concat(Words(SplitPattern.Gpt2, text)));
            Assert.Equal(text, string.Concat(Words(SplitPattern.Cl100k, text)));
        }).Holds();

    private static IEnumerable<string> Words(SplitPattern pattern, string text)
    {
        var scanner = pattern.Scanner();
        for (var start = 0; start < text.Length;)
        {
            var end = scanner.End(text, start);
            yield return text[start..end];
            start = end;
        }
    }
}
