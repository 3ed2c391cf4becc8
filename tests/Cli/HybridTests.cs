using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>Layers that differ in what they mix positions with, through the real command line.</summary>
public sealed class HybridTests
{
    private static readonly string[] Model =
    [
        "model.layers=4", "model.layerPattern.0.repeat=3", "model.layerPattern.0.mixer.type=mamba2",
        "model.layerPattern.0.mixer.headDim=16", "model.layerPattern.0.mixer.stateDim=8", "model.layerPattern.0.mixer.chunk=24",
        "model.layerPattern.1.repeat=1",
    ];

    [Fact]
    public void A_hybrid_learns_and_generates()
    {
        using var workspace = new Workspace();
        Succeeds(workspace.Run(["train", "small.json", "--run", "run", "--set", .. Model, "optimizer.learningRate=5e-3"]));
        var losses = workspace.Losses("run").OrderBy(entry => entry.Key).Select(
            entry => double.Parse(entry.Value.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        Assert.Equal(40, losses.Length);
        Assert.InRange(losses[^1], 0, 0.8 * losses[0]);
        var generated = workspace.Run("generate", "run", "--prompt", "the ", "--tokens", "40", "--greedy");
        Succeeds(generated);
        Assert.StartsWith("the ", generated.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_plan_tells_the_state_from_the_cache()
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run(["plan", "small.json", "--json", "--set", .. Model]);
        Succeeds(outcome);
        var plan = JsonDocument.Parse(outcome.Output).RootElement;
        // Three layers: 64 numbers with 8 states each, and 3 positions of 64 + 2·8 channels.
        Assert.Equal(3 * (64 * 8 + 3 * 80) * 4, plan.GetProperty("recurrentStateBytes").GetInt64());
        // One layer of two key-value heads of width 8.
        Assert.Equal(2 * 2 * 8 * 4, plan.GetProperty("cacheBytesPerToken").GetInt64());
        Assert.Contains(
            plan.GetProperty("components").EnumerateArray(), component => component.GetProperty("name").GetString() == "stateSpace");
        Assert.Contains("recurrent state", workspace.Run(["plan", "small.json", "--set", .. Model]).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Packed_documents_train()
    {
        using var workspace = new Workspace();
        var lines = Enumerable.Range(10, 60).Select(words => JsonSerializer.Serialize(new { text = Workspace.Words(words) }));
        File.WriteAllLines(workspace.PathOf("text.jsonl"), lines);
        Succeeds(workspace.Run(
            ["train", "small.json", "--run", "run", "--set", "data.packing=documents", "data.train.0.path=text.jsonl",
                "data.train.0.format=jsonl", "training.steps=3", .. Model]));
    }

    private static void Succeeds(Outcome outcome) => Assert.True(outcome.ExitCode == 0, $"exit code {outcome.ExitCode}: {outcome.Error}");
}
