using System.Text.Json.Nodes;

namespace Trainer.Cli.Tests;

/// <summary>adapt as a user runs it.</summary>
public sealed class AdaptTests(TrainedModel trained)
{
    [Fact]
    public void Variants_are_trained_measured_and_one_is_taken_whatever_stopped_it_before()
    {
        using var workspace = trained.Copy();
        string[] command = ["adapt", "run", "--cache", "100KiB/token", "--context", "64", "--steps", "2", "--max-loss",
            "+50%", "--set",
            "monitoring.tensorBoard=false", "evaluation.batches=2"];
        var outcome = workspace.RunAlone(command);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains("taken", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("its recipe is run-adapt/", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("\"isChosen\":true", File.ReadAllText(workspace.PathOf("run-adapt/adapt.html")), StringComparison.Ordinal);

        // As if it had been killed behind the first: the others are measured again, the same.
        var path = workspace.PathOf("run-adapt/adapt.json");
        var whole = JsonNode.Parse(File.ReadAllText(path))!;
        var cut = whole.DeepClone();
        var points = cut["points"]!.AsArray();
        Assert.True(points.Count > 1);
        while (points.Count > 1) points.RemoveAt(1);
        File.WriteAllText(path, cut.ToJsonString());
        Assert.Equal(0, workspace.RunAlone(command).ExitCode);
        Assert.Equal(Losses(whole), Losses(JsonNode.Parse(File.ReadAllText(path))!));

        workspace.Succeeds("report", "run-adapt", "--output", "again.html");
        Assert.Equal(File.ReadAllText(workspace.PathOf("run-adapt/adapt.html")), File.ReadAllText(workspace.PathOf("again.html")));
        var mixed = workspace.Run("report", "run-adapt", "run");
        Assert.Equal(2, mixed.ExitCode);
        Assert.Contains("adapt's directory has a page of its own, and there are 2 directories; give run-adapt alone", mixed.Error,
            StringComparison.Ordinal);

        var chosen = outcome.Error.Split("initialize.from ")[1].Trim();
        workspace.Succeeds("generate", chosen, "--prompt", "the ", "--tokens", "3");
        var other = workspace.RunAlone(["adapt", "run", "--cache", "100KiB/token", "--context", "64", "--steps", "3"]);
        Assert.Equal(1, other.ExitCode);
        Assert.Contains("run-adapt: it holds the variants of", other.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1B/token", "--cache: 1 B a token is less than any variant takes")]
    [InlineData("lots", "--cache is \"lots\"; give a size such as 1KiB/token or 800B/token.")]
    [InlineData("1KiB/token --max-loss much", "--max-loss is \"much\"; give a share such as +1%.")]
    [InlineData("1KiB/token --steps 0", "--steps is 0, but must be 1 or more.")]
    [InlineData("1KiB/token --context 4", "--context: 4 is less than the model's context of")]
    [InlineData("1KiB/token --rope-scaling ntk", "--rope-scaling is how a longer context is had: give that as --context, or leave it out.")]
    [InlineData("1KiB/token --set training.steps=500", "training.steps: is 500, but the run has 10, of which variants are")]
    public void What_cannot_be_had_is_refused_before_the_first_run(string arguments, string message)
    {
        using var workspace = trained.Copy();
        var outcome = workspace.Run(["adapt", "run", "--cache", .. arguments.Split(' ')]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(workspace.PathOf("run-adapt")));
    }

    private static IReadOnlyList<double> Losses(JsonNode results) =>
        [.. results["points"]!.AsArray().Select(point => (double)point!["loss"]!)];
}
