using System.Text;
using System.Text.Json.Nodes;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

public sealed class HuggingFaceTokenizerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Names => TokenizerFixture.Names;

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void The_reference_library_gives_the_same(string name)
    {
        var tokenizer = TokenizerFixture.Load(name);
        foreach (var (text, ids, decoded, special, pair) in TokenizerFixture.Expectations(name))
        {
            Assert.Equal(ids, tokenizer.Encode(text));
            Assert.Equal(ids, tokenizer.Encode((ReadOnlySpan<byte>)Encoding.UTF8.GetBytes(text)));
            Assert.Equal(decoded, tokenizer.Decode(ids));
            if (special is not null)
                Assert.Equal(special, tokenizer.EncodeWithSpecialTokens(text));
            if (pair is not null)
                Assert.Equal(pair, tokenizer.EncodeWithSpecialTokens(text, "b c"));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Tokens_decoded_one_by_one_are_the_whole_and_never_half_a_character(string name)
    {
        var tokenizer = TokenizerFixture.Load(name);
        var decoder = tokenizer.CreateDecoder();
        foreach (var expectation in TokenizerFixture.Expectations(name))
        {
            var parts = expectation.Ids.Select(decoder.Push).Append("").ToList();
            parts[^1] = decoder.Flush();
            Assert.Equal(expectation.Decoded, string.Concat(parts));
            Assert.All(parts, part => Assert.Equal(part, Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(part))));
        }
    }

    /// <summary>Special tokens before are no text, and a character that is cut is part of what follows.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void What_follows_other_tokens_is_the_rest_of_their_text(string name)
    {
        var tokenizer = TokenizerFixture.Load(name);
        foreach (var expectation in TokenizerFixture.Expectations(name))
        {
            int[] ids = [.. expectation.Ids.Where(id => !tokenizer.SpecialTokens.Contains(id)).Take(24)];
            var whole = tokenizer.Decode(ids);
            for (var cut = 0; cut <= ids.Length && !whole.Contains('\uFFFD'); cut++)
            {
                var decoder = tokenizer.CreateDecoder([.. tokenizer.SpecialTokens, .. ids[..cut]]);
                var rest = string.Concat(ids[cut..].Select(decoder.Push)) + decoder.Flush();
                Assert.Equal(whole, tokenizer.Decode(ids[..cut]).TrimEnd('\uFFFD') + rest);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_saved_tokenizer_gives_the_same_and_keeps_what_is_not_used(string name)
    {
        var document = JsonNode.Parse(File.ReadAllText(TokenizerFixture.Path(name)))!.AsObject();
        document["model"]!["of_the_future"] = 1.50;
        document["truncation"] = new JsonObject { ["max_length"] = 3 };
        Tokenizer.Load(folder.Write("a.json", document.ToJsonString())).Save(folder["b.json"]);
        Assert.True(JsonNode.DeepEquals(document, JsonNode.Parse(File.ReadAllText(folder["b.json"]))));
        var tokenizer = Tokenizer.Load(folder["b.json"]);
        foreach (var expectation in TokenizerFixture.Expectations(name).Take(20))
            Assert.Equal(expectation.Ids, tokenizer.Encode(expectation.Text));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama3")]
    [InlineData("o200k")]
    [InlineData("reference-byte-level-bpe")]
    public void Any_bytes_survive_a_byte_level_tokenizer(string name)
    {
        var tokenizer = TokenizerFixture.Load(name);
        Prop.ForAll<byte[]>(bytes => tokenizer.DecodeBytes(tokenizer.Encode((ReadOnlySpan<byte>)bytes)).AsSpan().SequenceEqual(bytes))
            .Holds(500);
        Prop.ForAll(UnicodeText.Texts, text => tokenizer.Decode(tokenizer.Encode(text)) == text).Holds();
    }

    [Fact]
    public void Several_threads_get_what_one_gets()
    {
        var tokenizer = TokenizerFixture.Load("llama3");
        var expectations = TokenizerFixture.Expectations("llama3").ToArray();
        Parallel.For(0, 400,
            i => Assert.Equal(expectations[i % expectations.Length].Ids, tokenizer.Encode(expectations[i % expectations.Length].Text)));
    }

    [Fact]
    public void More_words_than_are_remembered_change_nothing()
    {
        var tokenizer = TokenizerFixture.Load("gpt2");
        var words = Enumerable.Range(0, 90_000).Select(i => $" w{i * 7919}x{i}").ToArray();
        var once = tokenizer.Encode(string.Concat(words));
        Assert.Equal(once, tokenizer.Encode(string.Concat(words)));
        Assert.Equal(string.Concat(words), tokenizer.Decode(once));
    }

    [Fact]
    public void A_lone_surrogate_and_bytes_that_are_no_text_are_errors_with_their_place()
    {
        Assert.Equal(2, Assert.Throws<EncodingException>(() => TokenizerFixture.Load("gpt2").Encode("ab\ud800")).Position);
        var error = Assert.Throws<EncodingException>(() => TokenizerFixture.Load("bert").Encode([(byte)'a', 0xFF]));
        Assert.Equal(1, error.Position);
    }

    [Fact]
    public void Tokens_are_found_by_name_and_special_ones_known()
    {
        var tokenizer = TokenizerFixture.Load("bert");
        Assert.Equal(4, tokenizer.TokenId("[MASK]"));
        Assert.Null(tokenizer.TokenId("[NONE]"));
        Assert.Equal([0, 1, 2, 3, 4], tokenizer.SpecialTokens.Order());
        Assert.Equal(" the"u8, tokenizer.TokenBytes(tokenizer.TokenId("the")!.Value));
        Assert.Equal("ing"u8, tokenizer.TokenBytes(tokenizer.TokenId("##ing")!.Value));
        Assert.Equal([0xE5],
            TokenizerFixture.Load("llama2").TokenBytes(TokenizerFixture.Load("llama2").TokenId("<0xE5>")!.Value).ToArray());
    }

    [Fact]
    public void An_id_beyond_the_vocabulary_is_refused_and_one_that_is_not_given_is_nothing()
    {
        var document = JsonNode.Parse(File.ReadAllText(TokenizerFixture.Path("wordlevel")))!;
        document["model"]!["vocab"]!["far"] = 5000;
        var tokenizer = Tokenizer.Load(folder.Write("t.json", document.ToJsonString()));
        Assert.Equal(5001, tokenizer.VocabularySize);
        Assert.Equal("far", tokenizer.Decode([4000, 5000]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([5001]));
    }
}
