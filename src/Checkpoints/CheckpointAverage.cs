using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>The mean of the last checkpoints of a run (Vaswani et al. 2017, §6.1), one tensor at a time, summed in float64.</summary>
public sealed class CheckpointAverage : IWeightSource, IDisposable
{
    private readonly IOpenWeights[] sources;

    private CheckpointAverage(IReadOnlyList<string> directories, IOpenWeights[] sources) =>
        (Directories, this.sources) = (directories, sources);

    /// <summary>The checkpoints, oldest first.</summary>
    public IReadOnlyList<string> Directories { get; }

    /// <inheritdoc/>
    public string Location => sources[^1].Location;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => sources[^1].Names;

    /// <summary>Opens and verifies a checkpoint of a run and the <paramref name="count"/> − 1 before it.</summary>
    /// <exception cref="UserException">There are fewer; the message says which are there.</exception>
    public static CheckpointAverage Open(Checkpoint last, int count)
    {
        string own = Path.TrimEndingDirectorySeparator(Path.GetFullPath(last.Directory)), folder = Path.GetDirectoryName(own)!;
        CheckpointStore store = new(folder);
        long[] steps = CheckpointFiles.StepOf(Path.GetFileName(own)) is { } step
            ? [.. store.Steps.Where(each => each <= step)]
            : throw new UserException(
                $"{last.Directory}: it is no checkpoint of a run (step-…), so that there is none before it to average");
        if (steps.Length < count)
            throw new UserException(
                $"{folder} has {steps.Length} {(steps.Length == 1 ? "checkpoint" : "checkpoints")} up to step {step}, and {count} are to " +
                $"be averaged ({string.Join(", ", steps)}): give {(steps.Length == 1 ? "" : $"--average {steps.Length}, ")}a " +
                "later checkpoint, or let runs keep more (checkpoint.keep)");
        string[] directories = [.. steps[^count..].Select(store.DirectoryOf)];
        List<IOpenWeights> sources = [];
        try
        {
            foreach (string directory in directories) sources.Add(Checkpoint.Open(directory, last.BasePath).OpenWeights());
            return new(directories, [.. sources]);
        }
        catch
        {
            foreach (IOpenWeights source in sources) source.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SafetensorsInfo Info(string name) => sources[^1].Info(name);

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = sources[0].Read(name);
        ScalarType type = sum.dtype;
        sum = sum.to(ScalarType.Float64);
        foreach (IOpenWeights source in sources.AsSpan(1))
        {
            using DisposeScope step = NewDisposeScope();
            sum.add_(source.Read(name));
        }
        return sum.div_(sources.Length).to(type).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IOpenWeights source in sources) source.Dispose();
    }
}
