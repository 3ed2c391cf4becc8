using Trainer.Data;

namespace Trainer.Training;

/// <summary>The micro-batches of one optimizer step.</summary>
/// <param name="MicroBatches">In the order in which they are computed.</param>
internal sealed record BatchWindow(IReadOnlyList<Batch> MicroBatches)
{
    /// <summary>Targets of all micro-batches together: what the step's loss is divided by.</summary>
    public long TargetTokens { get; } = MicroBatches.Sum(batch => (long)batch.TargetTokens);

    /// <summary>Takes the next window of the data.</summary>
    /// <remarks>What has been taken is exactly what has been trained on, which is what a checkpoint has to say.</remarks>
    public static BatchWindow Take(BatchLoader loader, TrainingOptions options)
    {
        var batches = new Batch[options.BatchSize / options.MicroBatch];
        for (int i = 0; i < batches.Length; i++) batches[i] = loader.Next();
        return new BatchWindow(batches);
    }
}
