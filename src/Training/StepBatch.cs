using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Kernels;

namespace Trainer.Training;

/// <summary>The rows of a step.</summary>
internal sealed record StepBatch(IReadOnlyList<Batch> MicroBatches)
{
    /// <summary>Targets of all micro-batches.</summary>
    public long TargetTokens { get; } = MicroBatches.Sum(batch => (long)batch.TargetTokens);

    /// <summary>Takes the micro-batches of a step, from 0. None is taken ahead, so the loader's position is what a checkpoint saves.</summary>
    public static StepBatch Next(BatchLoader loader, TrainingOptions options, long step = 0)
    {
        TrainingStage stage = TrainingStages.At(options, step);
        var batches = new Batch[stage.BatchSize / options.MicroBatch];
        for (int i = 0; i < batches.Length; i++)
            batches[i] = stage.SequenceLength is { } length ? loader.Next().Cut(length) : loader.Next();
        return new StepBatch(batches);
    }
}

/// <summary>What a step is computed from, besides the weights.</summary>
internal sealed record StepInput(StepBatch Batch, IReadOnlyList<DropoutKey?> Dropout, RandomStates? Random);
