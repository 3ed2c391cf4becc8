[assembly: AssemblyFixture(typeof(Trainer.Cli.Tests.TrainedModel))]

namespace Trainer.Cli.Tests;

/// <summary>A run of the small recipe that was trained a little, once for all tests that need a model and do not care which.</summary>
public sealed class TrainedModel : IDisposable
{
    private readonly Workspace workspace = new();

    public TrainedModel() => workspace.Succeeds("train", "small.json", "--run", "run", "--set", "training.steps=10");

    /// <summary>A workspace with the run in it, to be written to and thrown away.</summary>
    internal Workspace Copy() => new(workspace);

    public void Dispose() => workspace.Dispose();
}

/// <summary>A workspace with such a run in it, shared by the tests of a class.</summary>
public sealed class TrainedRun(TrainedModel model) : IDisposable
{
    internal Workspace Workspace { get; } = model.Copy();

    public void Dispose() => Workspace.Dispose();
}
