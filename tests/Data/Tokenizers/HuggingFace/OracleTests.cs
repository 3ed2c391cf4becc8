using System.Text.Json.Nodes;

namespace Trainer.Data.Tests;

/// <summary>10,000 random texts, some of them for each tokenizer, through this project's code and Hugging Face's; TRAINER_FUZZ says how many else.</summary>
public sealed class OracleTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Fixtures => Fixture.Names;

    public static TheoryData<TiktokenEncoding> Encodings => [.. Enum.GetValues<TiktokenEncoding>()];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void A_file_gives_what_the_library_gives(string name) =>
        Agree(Fixture.Load(name), JsonNode.Parse(File.ReadAllText(Fixture.Path(name)))!.AsObject(), seed: name.Sum(letter => letter));

    /// <summary>Read here out of the package, and there out of the file that is saved with a run.</summary>
    [Theory]
    [MemberData(nameof(Encodings))]
    public void A_vocabulary_of_the_packages_gives_what_the_library_gives_for_its_file(TiktokenEncoding encoding)
    {
        var tokenizer = new TiktokenTokenizerOptions { Encoding = encoding }.CreateTrainer().Build();
        tokenizer.Save(folder["saved.json"]);
        Agree(tokenizer, JsonNode.Parse(File.ReadAllText(folder["saved.json"]))!.AsObject(), seed: (int)encoding);
    }

    private void Agree(Tokenizer tokenizer, JsonObject document, int seed)
    {
        Oracle.Require();
        var texts = RandomTexts.Make(Mutations.Count(10_000) / (Fixtures.Count + Encodings.Count) + 1, seed);
        var answers = Oracle.Ask(document, texts, folder);
        Assert.Equal(texts.Length, answers.Length);
        Assert.All(texts.Zip(answers), pair => Agree(tokenizer, pair.First, pair.Second));
    }

    private static void Agree(Tokenizer tokenizer, string text, Oracle.Answer? answer)
    {
        if (answer is null)
        {
            Assert.Throws<EncodingException>(() => tokenizer.Encode(text));
            return;
        }
        Assert.Equal(answer.Ids, tokenizer.Encode(text));
        Assert.Equal(answer.Text, tokenizer.Decode(answer.Ids));
    }
}
