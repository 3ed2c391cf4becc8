using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

/// <summary>Damaged files give an error with file and place, or a working tokenizer: no crash, no hang, no gigabyte.</summary>
public sealed partial class DamagedTokenizerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private static readonly string[] Sources = ["bert", "t5", "llama2", "qwen", "bpe-suffix", "wordlevel", "mistral"];

    /// <summary>How many damaged files to try; FUZZ_FILES raises it.</summary>
    private static int Files => int.TryParse(Environment.GetEnvironmentVariable("FUZZ_FILES"), out var files) ? files : 20_000;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Damaged_files_never_crash_or_hang()
    {
        var documents = Sources.Select(name => Shrunk(JsonNode.Parse(File.ReadAllText(TokenizerFixture.Path(name)))!)).ToArray();
        var random = new Random(20_26);
        for (var i = 0; i < Files; i++)
        {
            var (source, other) = (documents[i % documents.Length], documents[random.Next(documents.Length)]);
            var file = i % 3 == 0
                ? Mutations.Mutate(Encoding.UTF8.GetBytes(source), Encoding.UTF8.GetBytes(other), random)
                : Encoding.UTF8.GetBytes(Mutated(source, other, random));
            // a paused process is not late
            var (allocated, worked) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);
            Try(file);
            Assert.True(Environment.CpuUsage.TotalTime - worked < TimeSpan.FromSeconds(20), Encoding.UTF8.GetString(file));
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < 1 << 30, Encoding.UTF8.GetString(file));
        }
    }

    /// <summary>A small vocabulary makes tries fast and damage to other parts likelier.</summary>
    private static string Shrunk(JsonNode document)
    {
        if (document["model"]!["merges"] is JsonArray merges)
            while (merges.Count > 5)
                merges.RemoveAt(merges.Count - 1);
        return document.ToJsonString();
    }

    private static string Mutated(string source, string other, Random random)
    {
        var document = JsonNode.Parse(source)!;
        for (var count = random.Next(1, 4); count > 0; count--)
            Mutate(Pick(document, random), Pick(JsonNode.Parse(other)!, random), random);
        var text = document.ToJsonString();
        return random.Next(8) == 0 ? text.Remove(random.Next(text.Length), 1) : text;
    }

    /// <summary>A random node, seldom in the long lists.</summary>
    private static JsonNode Pick(JsonNode node, Random random)
    {
        while (true)
        {
            JsonNode?[] children = node switch
            {
                JsonObject entries => [.. entries.Where(entry => entry.Key != "vocab" || random.Next(4) == 0).Select(entry => entry.Value)],
                JsonArray items => [.. items],
                _ => [],
            };
            if (children.Length == 0 || random.Next(6) == 0 || children[random.Next(children.Length)] is not { } child)
                return node;
            node = child;
        }
    }

    private static void Mutate(JsonNode node, JsonNode foreign, Random random)
    {
        JsonNode? value = random.Next(9) switch
        {
            0 => null,
            1 => -1,
            2 => int.MaxValue,
            3 => "",
            4 => "\uD83D\uDE00",
            5 => true,
            6 => JsonValue.Create("(?i:a|b*)+[^\\p{L}]" + new string('(', random.Next(3))),
            7 => new JsonArray(),
            _ => foreign.DeepClone(),
        };
        if (node.Parent is null)
            return;
        node.ReplaceWith(value);
    }

    private void Try(byte[] file)
    {
        var path = folder.Write("t.json", file);
        try
        {
            var tokenizer = Tokenizer.Load(path);
            var ids = tokenizer.EncodeWithSpecialTokens("First <s>Citizen:\n  ﬁ e\u0301 😀 [MASK] 북.", "b");
            tokenizer.Decode([.. ids.Where(id => id < tokenizer.VocabularySize)]);
            if (tokenizer.VocabularySize > 0)
                tokenizer.TokenBytes(tokenizer.VocabularySize / 2);
        }
        catch (EncodingException)
        {
            // the file is whole, and its vocabulary lacks something of the text
        }
        catch (UserException e)
        {
            Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
            Assert.True(Place.IsMatch(e.Message[path.Length..]), e.Message);
        }
    }

    [GeneratedRegex(@" at [a-z_]+|\(line \d+, byte \d+\)|model\.vocab|must hold a JSON object")]
    private static partial Regex Place { get; }
}

public sealed class UnsupportedTokenizerTests
{
    [Theory]
    [InlineData("normalizer", """{"type":"Cyrillic"}""", "t.json has the normalizer Cyrillic at normalizer, which is not supported; use a tokenizer without it")]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"X"}]}""", "t.json has the normalizer X at normalizer.normalizers.1, which is not supported; use a tokenizer without it")]
    [InlineData("pre_tokenizer", """{"type":"UnicodeScripts"}""", "t.json has the pre-tokenizer UnicodeScripts at pre_tokenizer, which is not supported; use a tokenizer without it")]
    [InlineData("decoder", """{"type":"CTC"}""", "t.json has the decoder CTC at decoder, which is not supported; use a tokenizer without it")]
    [InlineData("post_processor", """{"type":"Y"}""", "t.json has the post-processor Y at post_processor, which is not supported; use a tokenizer without it")]
    [InlineData("model", """{"type":"Z"}""", "t.json has the model Z at model, which is not supported; use a tokenizer without it")]
    [InlineData("model", """{"type":"BPE","vocab":{},"merges":[],"dropout":0.1}""", "t.json has dropout 0.1, which makes results random, at model, which is not supported; use a tokenizer without it")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":["a b"]}""", "t.json is damaged at model: merges joins \"a\" and \"b\", of which vocab lacks one or the result")]
    [InlineData("model", """{"type":"Unigram","vocab":[["a",0]],"unk_id":1}""", "t.json is damaged at model: unk_id is 1, and vocab has 1 tokens")]
    [InlineData("model", """{"type":"WordLevel","vocab":{"a":-1},"unk_token":"a"}""", "t.json is damaged at model: vocab gives the token \"a\" the id -1, not a number from 0 to 16777216")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"}""", "t.json is damaged at pre_tokenizer.pattern: the regular expression (a cannot be used: a ( has no ) (at 2)")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"String":"a"},"behavior":"Odd"}""", "t.json is damaged at pre_tokenizer.behavior: supported are Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous, and it holds \"Odd\"")]
    [InlineData("pre_tokenizer", """{"type":"Metaspace","replacement":"ab"}""", "t.json is damaged at pre_tokenizer.replacement: one character is needed, and it holds \"ab\"")]
    [InlineData("pre_tokenizer", """{"type":"Sequence","pretokenizers":[{"type":"Metaspace"},{"type":"Digits"},{"type":"Metaspace","prepend_scheme":"first"}]}""", "t.json has Metaspace with the prepend_scheme first after a part that rewrites the text at pre_tokenizer, which is not supported; use a tokenizer without it")]
    [InlineData("normalizer", """{"type":"Precompiled","precompiled_charsmap":"AAAA"}""", "t.json is damaged at normalizer: precompiled_charsmap holds no trie of the size that it says")]
    public void What_cannot_be_used_is_named_with_its_place(string part, string content, string message)
    {
        var document = JsonNode.Parse(File.ReadAllText(TokenizerFixture.Path("wordlevel")))!.AsObject();
        document[part] = JsonNode.Parse(content);
        Assert.Equal(message, Assert.Throws<UserException>(() => HuggingFaceTokenizer.Parse(document, "t.json")).Message);
    }

    [Fact]
    public void A_word_without_a_token_is_an_error_that_names_it()
    {
        var document = JsonNode.Parse("""{"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"[UNK]"}}""")!.AsObject();
        var error = Assert.Throws<EncodingException>(() => HuggingFaceTokenizer.Parse(document, "t.json").Encode("a bee"));
        Assert.Equal("\"bee\" is not in the vocabulary, which has no token for unknown words ([UNK]) either; remove or replace it, or use "
            + "another tokenizer (at position 0)", error.Message);
    }
}
