using System.Text.Json;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

/// <summary>Fixture tokenizers and their expected results.</summary>
internal static class TokenizerFixture
{
    private static string Folder => System.IO.Path.Combine(AppContext.BaseDirectory, "Tokenizers", "Fixtures");

    public static TheoryData<string> Names =>
        [.. Directory.GetDirectories(Folder).Select(path => System.IO.Path.GetFileName(path)!).Order()];

    public static string Path(string name) => System.IO.Path.Combine(Folder, name, "tokenizer.json");

    public static Tokenizer Load(string name) => Tokenizer.Load(Path(name));

    public static IEnumerable<Expectation> Expectations(string name) =>
        File.ReadLines(System.IO.Path.Combine(Folder, name, "expected.jsonl"))
            .Select(line => JsonSerializer.Deserialize<Expectation>(line, JsonSerializerOptions.Web)!);

    internal sealed record Expectation(string Text, int[] Ids, string Decoded, int[]? Special, int[]? Pair);
}
