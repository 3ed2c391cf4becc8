using System.Text.Json.Nodes;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

/// <summary>Compares 10,000 random texts, spread over all tokenizers, with Hugging Face's library; TRAINER_FUZZ changes the
/// number.</summary>
public sealed class OracleTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Fixtures => TokenizerFixture.Names;

    public static TheoryData<TiktokenEncoding> Encodings => [.. Enum.GetValues<TiktokenEncoding>()];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void A_file_gives_what_the_library_gives(string name) =>
        Agree(TokenizerFixture.Load(name), JsonNode.Parse(File.ReadAllText(TokenizerFixture.Path(name)))!.AsObject(),
            seed: name.Sum(letter => letter));

    /// <summary>Ours comes from the package, theirs from the file saved with a run.</summary>
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
