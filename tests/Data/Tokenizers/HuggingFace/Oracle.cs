using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

/// <summary>Hugging Face's own library, through Tokenizers.DotNet, in a separate process.</summary>
internal static class Oracle
{
    /// <summary>Skips the test if the native library is missing.</summary>
    public static void Require()
    {
        if (!File.Exists(Path.Combine(AppContext.BaseDirectory, "libhf_tokenizers.so")))
            Assert.Skip($"Tokenizers.DotNet is taken for linux-x64 only, and this is {RuntimeInformation.RuntimeIdentifier}");
    }

    /// <summary>The library's ids, without special tokens, and the decoded text; null for rejected texts. Texts must not contain U+0000,
    /// which the binding takes for the end.</summary>
    public static Answer?[] Ask(JsonObject document, IReadOnlyList<string> texts, TemporaryFolder folder)
    {
        var tokenizer = folder.Write("oracle.json", Plain(document).ToJsonString());
        var lines = folder.Write("texts.jsonl", string.Join('\n', texts.Select(text => JsonSerializer.Serialize(text))));
        var start = new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "Trainer.TokenizerOracle.dll"), tokenizer, lines])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"the library ended with {process.ExitCode}: {error.Result}");
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonSerializer.Deserialize<Answer>(line, JsonSerializerOptions.Web))];
    }

    /// <summary>The file without what the binding always applies: special tokens, truncation, and skipping special tokens in
    /// decoding.</summary>
    private static JsonObject Plain(JsonObject document)
    {
        var plain = (JsonObject)document.DeepClone();
        plain["post_processor"] = plain["truncation"] = plain["padding"] = null;
        foreach (var token in plain["added_tokens"]!.AsArray())
        {
            token!["normalized"] ??= token["special"]?.GetValue<bool>() != true;
            token["special"] = false;
        }
        return plain;
    }

    internal sealed record Answer(int[] Ids, string Text);
}
