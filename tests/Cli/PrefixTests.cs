using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>A decoder that reads the first tokens of a text together, through every command that has to know of it.</summary>
public sealed class PrefixTests : IDisposable
{
    private const int Prefix = 8;
    private readonly Workspace workspace = new();

    public PrefixTests() => File.WriteAllText(workspace.PathOf("prefix.json"), $$"""
        { "extends": "small.json", "monitoring": { "samples": [ "the model reads" ] }, "training": { "steps": 3 },
          "model": { "dropout": 0, "attention": { "type": "multi-head", "heads": 4, "pattern": { "type": "prefix", "prefixLength": {{Prefix}} } } } }
        """);

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Only_what_is_behind_the_prefix_is_learned_measured_and_written()
    {
        Succeeds(workspace.Run("train", "prefix.json"));
        var last = JsonDocument.Parse(
            File.ReadLines(workspace.PathOf("runs/small/metrics.jsonl")).Last(line => line.Contains("\"loss\"", StringComparison.Ordinal)));
        Assert.Equal(3 * 4 * (32 - Prefix + 1), last.RootElement.GetProperty("tokens").GetInt64());

        var measured = Succeeds(workspace.Run("evaluate", "runs/small", "--data", "text.txt", "--json", "measured.json"));
        Assert.Contains($"the first {Prefix} tokens of the text are read together and not scored", measured, StringComparison.Ordinal);
        using var report = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("measured.json")));
        Assert.Equal((32, 32 - Prefix + 1),
            (report.RootElement.GetProperty("window").GetInt32(), report.RootElement.GetProperty("stride").GetInt32()));
        Assert.Equal(File.ReadAllText(workspace.PathOf("text.txt")).Length - Prefix, report.RootElement.GetProperty("tokens").GetInt64());
        Fails(2, "--stride: stride (32) must be at most 25",
            workspace.Run("evaluate", "runs/small", "--data", "text.txt", "--stride", "32"));

        Succeeds(workspace.Run("score", "runs/small", "--text", "the model reads", "--json", "scores.json"));
        using var scores = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("scores.json")));
        Assert.Equal(
            [.. Enumerable.Range(0, 15).Select(index => index >= Prefix)],
            scores.RootElement.GetProperty("negativeLogLikelihood").EnumerateArray().Select(
                loss => loss.ValueKind == JsonValueKind.Number));

        Assert.StartsWith("the model reads",
            Succeeds(workspace.Run("generate", "runs/small", "--prompt", "the model reads", "--tokens", "60")), StringComparison.Ordinal);
        Fails(1, $"the prompt has 3 tokens, but the model reads a prefix of {Prefix} together",
            workspace.Run("generate", "runs/small", "--prompt", "the", "--tokens", "5"));
    }

    [Fact]
    public void What_cannot_be_is_refused_before_the_run()
    {
        Fails(2, $"monitoring.samples.0: the prompt has 3 tokens, but the model reads a prefix of {Prefix} together",
            workspace.Run("train", "prefix.json", "--set", "monitoring.samples.0=the"));
        Fails(2, "data.packing: 'documents' puts several documents in a row",
            workspace.Run("train", "prefix.json", "--set", "data.packing=documents"));
        Fails(2, "model.attention.pattern: prefixLength (8) is more than contextLength (6)",
            workspace.Run("plan", "prefix.json", "--set", "model.contextLength=6"));
    }

    private static string Succeeds(Outcome outcome)
    {
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return outcome.Output;
    }

    private static void Fails(int exitCode, string message, Outcome outcome)
    {
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
        Assert.Equal(exitCode, outcome.ExitCode);
    }
}
