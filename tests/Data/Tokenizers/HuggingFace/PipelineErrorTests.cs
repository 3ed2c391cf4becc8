using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Data.Tests;

public sealed class PipelineErrorTests
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
        var document = JsonNode.Parse(File.ReadAllText(Fixture.Path("wordlevel")))!.AsObject();
        document[part] = JsonNode.Parse(content);
        Assert.Equal(message, Assert.Throws<UserException>(() => PipelineTokenizer.Parse(document, "t.json")).Message);
    }

    [Fact]
    public void A_word_without_a_token_is_an_error_that_names_it()
    {
        var document = JsonNode.Parse("""{"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"[UNK]"}}""")!.AsObject();
        var error = Assert.Throws<EncodingException>(() => PipelineTokenizer.Parse(document, "t.json").Encode("a bee"));
        Assert.Equal("\"bee\" is not in the vocabulary, which has no token for unknown words ([UNK]) either; remove or replace it, or use another tokenizer (at position 0)", error.Message);
    }
}
