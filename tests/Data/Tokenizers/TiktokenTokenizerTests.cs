using System.Text;
using FsCheck.Fluent;
using Microsoft.ML.Tokenizers;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Tests.Tokenizers.HuggingFace;
using Trainer.Data.Tokenizers;
using Tokenizer = Trainer.Data.Tokenizers.Tokenizer;

namespace Trainer.Data.Tests.Tokenizers;

/// <summary>The vocabularies of Microsoft.ML.Tokenizers' packages; <see cref="OracleTests"/> also compares them with Hugging Face's
/// library.</summary>
public sealed class TiktokenTokenizerTests : IDisposable
{
    private static readonly Dictionary<TiktokenEncoding, Lazy<Tokenizer>> Made = Enum.GetValues<TiktokenEncoding>().ToDictionary(
        encoding => encoding, encoding =>
            new Lazy<Tokenizer>(() => new TiktokenTokenizerOptions { Encoding = encoding }.CreateTrainer().Build()));

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(TiktokenEncoding.Gpt2, 50257, "gpt2")]
    [InlineData(TiktokenEncoding.R50kBase, 50257, "davinci")]
    [InlineData(TiktokenEncoding.Cl100kBase, 100277, "gpt-4")]
    [InlineData(TiktokenEncoding.O200kBase, 200019, "gpt-4o")]
    public void Ids_and_special_tokens_are_those_of_the_library(TiktokenEncoding encoding, int size, string model)
    {
        var tokenizer = Made[encoding].Value;
        var library = TiktokenTokenizer.CreateForModel(model);
        Assert.Equal(size, tokenizer.VocabularySize);
        Assert.Equal(library.SpecialTokens!.Values.Order(), tokenizer.SpecialTokens.Order());
        Assert.All(library.SpecialTokens, token => Assert.Equal([token.Value], tokenizer.Encode(token.Key)));
        // The library sees the halves of characters beyond the first plane, so it is asked about the others.
        var texts = RandomTexts.Make(500, seed: size).Select(text => string.Concat(text.Where(unit => !char.IsSurrogate(unit))));
        Assert.All(texts, text => Assert.Equal(library.EncodeToIds(text), tokenizer.Encode(text)));
    }

    [Theory]
    [InlineData(TiktokenEncoding.Gpt2, "hello world", new[] { 31373, 995 })]
    [InlineData(TiktokenEncoding.R50kBase, "antidisestablishmentarianism", new[] { 415, 29207, 44390, 3699, 1042 })]
    [InlineData(TiktokenEncoding.Cl100kBase, "antidisestablishmentarianism", new[] { 519, 85342, 34500, 479, 8997, 2191 })]
    [InlineData(TiktokenEncoding.O200kBase, "antidisestablishmentarianism", new[] { 493, 129901, 376, 160388, 21203, 2367 })]
    public void Ids_are_those_that_tiktoken_publishes(TiktokenEncoding encoding, string text, int[] ids) =>
        Assert.Equal(ids, Made[encoding].Value.Encode(text));

    /// <summary>Decodes only: the library loses special tokens once its cache drops words.</summary>
    [Fact]
    public void Special_tokens_stay_what_they_are_after_many_words()
    {
        var tokenizer = Made[TiktokenEncoding.Gpt2].Value;
        tokenizer.Encode(string.Concat(Enumerable.Range(0, 200_000).Select(i => $" w{i * 7919}x{i}")));
        Assert.Equal([64, 50256, 65], tokenizer.Encode("a<|endoftext|>b"));
    }

    [Theory]
    [InlineData(TiktokenEncoding.Gpt2)]
    [InlineData(TiktokenEncoding.Cl100kBase)]
    [InlineData(TiktokenEncoding.O200kBase)]
    public void Any_bytes_and_texts_come_back_at_once_and_token_by_token(TiktokenEncoding encoding)
    {
        var tokenizer = Made[encoding].Value;
        Prop.ForAll<byte[]>(bytes => tokenizer.DecodeBytes(tokenizer.Encode((ReadOnlySpan<byte>)bytes)).AsSpan().SequenceEqual(bytes))
            .Holds(300);
        Prop.ForAll(UnicodeText.Texts,
            text => tokenizer.Decode(tokenizer.Encode(text)) == text && Streamed(tokenizer, tokenizer.Encode(text)) == text).Holds(300);
    }

    [Theory]
    [InlineData(TiktokenEncoding.Gpt2)]
    [InlineData(TiktokenEncoding.Cl100kBase)]
    public void The_saved_file_gives_the_same(TiktokenEncoding encoding)
    {
        var tokenizer = Made[encoding].Value;
        tokenizer.Save(folder["tokenizer.json"]);
        var read = Tokenizer.Load(folder["tokenizer.json"]);
        Assert.Equal(tokenizer.VocabularySize, read.VocabularySize);
        Assert.Equal(tokenizer.SpecialTokens.Order(), read.SpecialTokens.Order());
        Assert.All(RandomTexts.Make(300, seed: 9), text => Assert.Equal(tokenizer.Encode(text), read.Encode(text)));
    }

    /// <summary>A word of a million letters, which would take the library minutes.</summary>
    [Fact]
    public void A_long_word_is_no_reason_to_wait()
    {
        var random = new Random(1);
        var word = string.Create(1_000_000, random, (text, source) =>
        {
            for (var i = 0; i < text.Length; i++)
                text[i] = (char)source.Next('a', 'z' + 1);
        });
        var tokenizer = Made[TiktokenEncoding.Gpt2].Value;
        Assert.Equal(word, tokenizer.Decode(tokenizer.Encode(word)));
    }

    /// <summary>nanoGPT's data/shakespeare/prepare.py writes 301,966 training and 36,059 validation tokens.</summary>
    [Fact]
    public void Shakespeare_has_as_many_tokens_as_nanoGPT_says()
    {
        var path = SharedData.Find("tinyshakespeare.txt");
        Assert.SkipWhen(path is null, "tinyshakespeare.txt does not lie beside this checkout");
        var data = new DataOptions { Train = [new SourceOptions { Path = path }], EndOfDocument = EndOfText.None };
        using var prepared = DataPreparation.Prepare(data, new TiktokenTokenizerOptions { Encoding = TiktokenEncoding.Gpt2 },
            folder["datasets"]);
        Assert.Equal((301_966L, 36_059L), (prepared.Train.Length, prepared.Validation.Length));
    }

    [Theory]
    [InlineData("gpt-2", "did you mean gpt2?")]
    [InlineData("cl100k", "cl100k_base, o200k_base")]
    [InlineData("p50k_base", "did you mean r50k_base?")]
    public void A_name_that_is_none_is_answered_with_those_that_are(string name, string help)
    {
        var file = folder.Write("recipe.json", $$$"""{"tokenizer":{"type":"tiktoken","encoding":"{{{name}}}"}}""");
        var problem = Assert.Single(Assert.Throws<ConfigurationException>(() => ConfigurationLoader.Load<Recipe>(file, [])).Problems);
        Assert.Equal("tokenizer.encoding", problem.Path);
        Assert.Contains(help, problem.Message, StringComparison.Ordinal);
        Assert.Contains("gpt2, r50k_base, cl100k_base, o200k_base", problem.Message, StringComparison.Ordinal);
    }

    public sealed record Recipe
    {
        public required TokenizerOptions Tokenizer { get; init; }
    }

    private static string Streamed(Tokenizer tokenizer, int[] ids)
    {
        var decoder = tokenizer.CreateDecoder();
        var text = new StringBuilder();
        foreach (var id in ids)
            text.Append(decoder.Push(id));
        return text.Append(decoder.Flush()).ToString();
    }
}
