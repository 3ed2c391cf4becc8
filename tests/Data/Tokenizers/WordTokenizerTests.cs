using Trainer.Configuration;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class WordTokenizerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private static Tokenizer Learn(string text, WordTokenizerOptions? options = null)
    {
        var trainer = (options ?? new WordTokenizerOptions()).CreateTrainer();
        trainer.Observe(text);
        return trainer.Build();
    }

    [Fact]
    public void Words_stand_by_frequency_then_code_point() =>
        // 😀 is after U+FB00, though its UTF-16 is before
        Assert.Equal(["<unk>", ",", "a", "\uFB00", "😀"], ((WordTokenizer)Learn("a, 😀 \uFB00 , a\n,")).Words);

    [Fact]
    public void Unknown_words_are_token_0_and_decoding_puts_spaces_between()
    {
        var tokenizer = Learn("the cat, the dog", new WordTokenizerOptions { VocabularySize = 4 });
        Assert.Equal(["<unk>", "the", ",", "cat"], ((WordTokenizer)tokenizer).Words);
        int[] ids = [1, 0, 2, 1, 3, 0];
        Assert.Equal(ids, tokenizer.Encode("the  bird,\nthe cat!?"));
        Assert.Equal("the <unk> , the cat <unk>", tokenizer.Decode(ids));
        var decoder = tokenizer.CreateDecoder();
        Assert.Equal(tokenizer.Decode(ids), string.Concat(ids.Select(decoder.Push)) + decoder.Flush());
        Assert.Equal("the", decoder.Push(1));
    }

    [Fact]
    public void A_space_stands_before_what_follows_other_words()
    {
        var tokenizer = Learn("the cat");
        var decoder = tokenizer.CreateDecoder(tokenizer.Encode("the"));
        Assert.Equal(" cat the", string.Concat(tokenizer.Encode("cat the").Select(decoder.Push)) + decoder.Flush());
    }

    [Fact]
    public void Lower_case_counts_both_cases_together_and_meets_both()
    {
        var tokenizer = Learn("The the THE Cat İ", new WordTokenizerOptions { Lowercase = true });
        Assert.Equal(["<unk>", "the", "cat", "i\u0307"], ((WordTokenizer)tokenizer).Words);
        Assert.Equal([1, 2, 3], tokenizer.Encode("tHE CAT İ"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_file_brings_it_back(bool lowercase)
    {
        var tokenizer = Learn("To be, or not to be: \"that\" is the question.",
            new WordTokenizerOptions { Lowercase = lowercase, UnknownToken = "[UNK]" });
        tokenizer.Save(folder["tokenizer.json"]);
        var loaded = Assert.IsType<WordTokenizer>(Tokenizer.Load(folder["tokenizer.json"]));
        Assert.Equal(((WordTokenizer)tokenizer).Words, loaded.Words);
        Assert.Equal(lowercase, loaded.Lowercase);
    }

    [Fact]
    public void A_file_of_other_ids_is_read_as_it_is()
    {
        var document = Learn("a b").ToJson();
        document["model"]!["unk_token"] = "a";
        Assert.Equal([1, 2, 1], TokenizerFile.Parse(document).Encode("x b a"));
    }

    [Fact]
    public void Options_that_make_no_sense_are_named()
    {
        Assert.Equal([new Problem("unknownToken", "is empty; name it, for example, <unk>")],
            new WordTokenizerOptions { UnknownToken = "" }.Validate());
        Assert.Equal(
            [
                new Problem("vocabularySize", "is 258, but 2 special tokens and 256 bytes leave no merge to learn; make it at least 259"),
                new Problem("specialTokens.0", "is \"a\"; a special token needs two characters or more, such as <|endoftext|>"),
            ],
            new BpeTokenizerOptions { VocabularySize = 258, SpecialTokens = ["a", "<s>"] }.Validate());
        Assert.Equal(
            [new Problem("specialTokens.1", "\"<s>\" is listed twice; name each special token once")],
            new BpeTokenizerOptions { SpecialTokens = ["<s>", "<s>"] }.Validate());
    }
}
