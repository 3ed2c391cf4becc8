using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Data.Tests;

/// <summary>Damaged files end in an error that names file and place or in a tokenizer that works, never in a crash, never late and never in a gigabyte.</summary>
public sealed partial class PipelineFuzzTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private static readonly string[] Sources = ["bert", "t5", "llama2", "qwen", "bpe-suffix", "wordlevel", "mistral"];

    /// <summary>How many damaged files are tried; FUZZ_FILES raises it for long runs.</summary>
    private static int Files => int.TryParse(Environment.GetEnvironmentVariable("FUZZ_FILES"), out var files) ? files : 20_000;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Damaged_files_never_crash_or_hang()
    {
        var documents = Sources.Select(name => Shrunk(JsonNode.Parse(File.ReadAllText(Fixture.Path(name)))!)).ToArray();
        var random = new Random(20_26);
        for (var i = 0; i < Files; i++)
        {
            var (source, other) = (documents[i % documents.Length], documents[random.Next(documents.Length)]);
            var file = i % 3 == 0 ? Mutations.Mutate(Encoding.UTF8.GetBytes(source), Encoding.UTF8.GetBytes(other), random) : Encoding.UTF8.GetBytes(Mutated(source, other, random));
            var (allocated, worked) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);   // a paused process is not late
            Try(file);
            Assert.True(Environment.CpuUsage.TotalTime - worked < TimeSpan.FromSeconds(20), Encoding.UTF8.GetString(file));
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < 1 << 30, Encoding.UTF8.GetString(file));
        }
    }

    /// <summary>A small vocabulary makes each try quick, and hits on other parts likelier.</summary>
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

    /// <summary>A node somewhere inside, seldom in the long lists.</summary>
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
