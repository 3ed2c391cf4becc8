using System.Text.Json;

namespace Trainer.Text.Tests;

public sealed class DataOptionsTests
{
    [Theory]
    [InlineData("""{}""", "path: is missing; name a text file, or set format to \"dotnet-docs\" for the documentation of the installed .NET SDK")]
    [InlineData("""{"path":" "}""", "path: is missing; name a text file, or set format to \"dotnet-docs\" for the documentation of the installed .NET SDK")]
    [InlineData("""{"path":"a.txt","format":"dotnet-docs"}""", "path: is \"a.txt\", but format dotnet-docs finds its own files; remove path, or set format to \"text\"")]
    public void A_source_that_contradicts_itself_says_so(string json, string problem) =>
        Assert.Equal([problem], Parse<SourceOptions>(json).Validate().Select(found => $"{found.Path}: {found.Message}"));

    [Theory]
    [InlineData("""{"train":[{"path":"a.txt"}]}""", new string[0])]
    [InlineData("""{"train":[{"format":"dotnet-docs"}],"validation":[{"path":"a.txt"}]}""", new string[0])]
    [InlineData("""{"train":[],"validation":[]}""", new[] { "train", "validation" })]
    public void Lists_have_at_least_one_text(string json, string[] paths) =>
        Assert.Equal(paths, Parse<DataOptions>(json).Validate().Select(found => found.Path));

    [Theory]
    [InlineData("""{"type":"byte"}""", typeof(ByteTokenizerOptions))]
    [InlineData("""{"type":"character"}""", typeof(CharacterTokenizerOptions))]
    public void The_type_chooses_the_tokenizer(string json, Type type)
    {
        var options = Parse<TokenizerOptions>(json);
        Assert.IsType(type, options);
        Assert.Equal(json, JsonSerializer.Serialize(options));
    }

    private static T Parse<T>(string json) => JsonSerializer.Deserialize<T>(json, JsonSerializerOptions.Web)!;
}
