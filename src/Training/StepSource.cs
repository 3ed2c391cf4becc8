using Trainer.Checkpoints;
using Trainer.Data.Batches;

namespace Trainer.Training;

/// <summary>Where the rows of steps come from. All ranks get the same.</summary>
internal abstract class StepSource : IDisposable
{
    /// <summary>The next row of the training data.</summary>
    public abstract StreamPosition Position { get; }

    /// <summary>A line for the log; null for rows of the data alone.</summary>
    public virtual string? Description => null;

    /// <summary>The rows of the step that follows so many.</summary>
    public abstract StepBatch Next(long step);

    /// <summary>What a checkpoint has to hold besides <see cref="Position"/>, as it is now.</summary>
    public virtual IReadOnlyList<PendingFile> Files() => [];

    /// <summary>Goes on where a checkpoint was written.</summary>
    public abstract void Restore(string directory, StreamPosition position);

    public abstract void Dispose();
}

/// <summary>Rows of the training data, as they come.</summary>
internal sealed class LoadedSteps(BatchLoader loader, TrainingOptions options) : StepSource
{
    public override StreamPosition Position => loader.Position;

    public override StepBatch Next(long step) => StepBatch.Next(loader, options, step);

    public override void Restore(string directory, StreamPosition position) => loader.Position = position;

    public override void Dispose() => loader.Dispose();
}
