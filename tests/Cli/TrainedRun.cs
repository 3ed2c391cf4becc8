namespace Trainer.Cli.Tests;

/// <summary>A workspace with a run in it that was trained a little, shared by the tests of a class.</summary>
public sealed class TrainedRun : IDisposable
{
    public TrainedRun()
    {
        var outcome = Workspace.Run("train", "small.json", "--run", "run", "--set", "training.steps=10");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
    }

    internal Workspace Workspace { get; } = new();

    public void Dispose() => Workspace.Dispose();
}
