using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

public sealed class TextEncodingTests
{
    [Fact]
    public void All_of_a_text_is_encoded_and_documents_keep_their_beginnings()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("texts.jsonl", """
            {"text": "first one"}
            {"text": "é and 東"}
            {"text": "third"}
            """);

        using var shard = TextEncoding.Encode(new SourceOptions { Path = path }, ByteTokenizer.Instance, folder.Path);

        var tokens = new long[shard.Length];
        shard.Read(0, tokens);
        Assert.Equal([.. ByteTokenizer.Instance.Encode("first oneé and 東third").Select(id => (long)id)], tokens);
        Assert.Equal([0, 9, 9 + 10], [.. Enumerable.Range(0, 3).Select(document => shard.DocumentStart(document))]);
        Assert.Equal(3, shard.DocumentCount);
        Assert.False(File.Exists(shard.Path)); // only what is mapped is left
    }

    [Fact]
    public void A_text_that_the_tokenizer_cannot_express()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("text.txt", "abc Ω");
        var tokenizer = new CharacterTokenizer("abc ".EnumerateRunes());
        var error = Assert.ThrowsAny<UserException>(() => TextEncoding.Encode(new SourceOptions { Path = path }, tokenizer, folder.Path));
        Assert.Contains("Ω", error.Message, StringComparison.Ordinal);
    }
}
