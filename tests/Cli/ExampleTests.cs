namespace Trainer.Cli.Tests;

/// <summary>The program of docs/library.md.</summary>
public sealed class ExampleTests
{
    [Fact]
    public void It_trains_generates_and_serves_within_seconds()
    {
        using var workspace = new Workspace();
        var outcome = Command.Run(
            "dotnet", [Path.Combine(AppContext.BaseDirectory, "Trainer.Example.dll"), workspace.PathOf("example")],
            new() { ["OMP_NUM_THREADS"] = "1" });

        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var lines = outcome.Output.Split('\n');
        Assert.Matches(@"^trained 20 steps to a validation loss of [0-2]\.\d\d$", lines[0]);
        Assert.Matches("^generated: after 7.{5}", lines[1]);
        Assert.Equal("served 20 tokens", lines[3]);
    }
}
