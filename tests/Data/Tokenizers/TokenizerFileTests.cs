using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class TokenizerFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_byte_tokenizer_comes_back()
    {
        ByteTokenizer.Instance.Save(folder["tokenizer.json"]);
        Assert.Same(ByteTokenizer.Instance, Tokenizer.Load(folder["tokenizer.json"]));
    }

    [Fact]
    public void A_character_tokenizer_comes_back_with_the_same_ids()
    {
        var text = "Hello,\r\n\t\"wörld\" \\ \u0000\u2028😀\u200d";
        var tokenizer = CharacterTokenizerTests.Learn(text);
        tokenizer.Save(folder["tokenizer.json"]);
        var loaded = Tokenizer.Load(folder["tokenizer.json"]);
        Assert.Equal("character", loaded.Type);
        Assert.Equal(tokenizer.Encode(text), loaded.Encode(text));
        Assert.Equal(["tokenizer.json"], Directory.GetFiles(folder.Path).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("""{"type":"BPE","vocab":{"Ā":0},"merges":[]}""")]
    [InlineData("""{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}""")]
    public void Another_byte_level_model_is_not_taken_for_the_byte_tokenizer(string model)
    {
        var document = ByteTokenizer.Instance.ToJson();
        document["model"] = JsonNode.Parse(model);
        Assert.IsType<HuggingFaceTokenizer>(Tokenizer.Load(folder.Write("t.json", document.ToJsonString())));
    }

    [Theory]
    [InlineData("[]", "it must hold a JSON object")]
    [InlineData("{\"a\":", "is no valid JSON (line 1, byte 6)")]
    [InlineData("{\"model\":1,\"model\":2}", "is no valid JSON")]
    [InlineData("{\"model\":\n{\"a\":1,\"a\":2}}", "is no valid JSON: it gives \"a\" twice (line 2, byte 8)")]
    [InlineData("{\n\"a\":\"\\ud800\"}", "holds half of a surrogate pair (line 2, byte 5)")]
    public void A_damaged_file_is_an_error(string content, string message) =>
        Assert.Contains(message, Fails(folder.Write("t.json", content)));

    [Theory]
    [InlineData("""{"b":0,"a":1}""", "model.vocab must number its characters 0, 1, 2 … in code-point order")]
    [InlineData("""{"a":0,"b":2}""", "model.vocab must number its characters 0, 1, 2 … in code-point order")]
    [InlineData("""{"a":"x"}""", "model.vocab gives the token \"a\" the id \"x\", not a number from 0 on")]
    [InlineData("""{}""", "model.vocab must be an object with at least one token")]
    public void Ids_that_contradict_the_characters_are_an_error(string vocabulary, string message)
    {
        var document = CharacterTokenizerTests.Learn("a").ToJson();
        document["model"]!["vocab"] = JsonNode.Parse(vocabulary);
        Assert.Contains(message, Fails(folder.Write("t.json", document.ToJsonString())));
    }

    [Fact]
    public void A_missing_file_is_an_error_with_the_path_that_was_tried() =>
        Assert.Equal($"there is no tokenizer at {folder["none.json"]}; give the path of a tokenizer.json", Fails(folder["none.json"]));

    private static string Fails(string path) => Assert.Throws<UserException>(() => Tokenizer.Load(path)).Message;
}
