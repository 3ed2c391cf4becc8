using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>An early part of a run with other batches than the rest: smaller ones while gradients are large (McCandlish et al. 2018, arXiv
/// 1812.06162), shorter sequences while there is little to learn from afar (Li et al. 2022, arXiv 2108.06084).</summary>
public sealed record TrainingStageOptions : IValidated
{
    /// <summary>The step at which the next stage begins, or the rest of the run.</summary>
    [Description("The step at which the stage ends.")]
    [Range(1, long.MaxValue)]
    public required long Until { get; init; }

    /// <summary>Sequences of <c>data</c>'s own length per optimizer step; null for <see cref="TrainingOptions.BatchSize"/>.</summary>
    [Description("Sequences per optimizer step, a multiple of training.microBatchSize; by default training.batchSize.")]
    [Range(1, 1 << 24)]
    public int? BatchSize { get; init; }

    /// <summary>Tokens that a sequence is cut into pieces of, which do not see each other; null for whole sequences.</summary>
    [Description("Sequences are cut into pieces of so many tokens, each a sequence of its own: as many tokens a step, less attention. It " +
        "divides model.contextLength.")]
    [Range(2, 1 << 24)]
    public int? SequenceLength { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => BatchSize is null && SequenceLength is null
        ? [new("", "changes nothing; give batchSize, sequenceLength or both, or leave the stage out")]
        : [];
}

/// <summary>What steps from <c>From</c> (0 for the first of a run) to before <c>To</c> are made of.</summary>
internal readonly record struct TrainingStage(long From, long To, int BatchSize, int? SequenceLength)
{
    public override string ToString() =>
        $"{BatchSize} sequences{(SequenceLength is { } length ? $" in pieces of {length} tokens" : "")} to step {To:N0}";
}

internal static class TrainingStages
{
    /// <summary>All stages of a run, the last of which has the run's own settings.</summary>
    public static IEnumerable<TrainingStage> Of(TrainingOptions options)
    {
        long from = 0;
        foreach (TrainingStageOptions stage in options.Stages ?? [])
        {
            if (from >= options.Steps) yield break;
            long to = Math.Min(stage.Until, options.Steps);
            yield return new(from, to, stage.BatchSize ?? options.BatchSize, stage.SequenceLength);
            from = to;
        }
        if (from < options.Steps) yield return new(from, options.Steps, options.BatchSize, null);
    }

    /// <summary>The stage of a step, from 0; past the end of the run, the last.</summary>
    public static TrainingStage At(TrainingOptions options, long step)
    {
        TrainingStage found = default;
        foreach (TrainingStage stage in Of(options))
        {
            found = stage;
            if (step < stage.To) break;
        }
        return found;
    }

    /// <summary>Sequences of a whole run.</summary>
    public static long Sequences(TrainingOptions options) => Of(options).Sum(stage => (stage.To - stage.From) * stage.BatchSize);

    public static IEnumerable<Problem> Check(TrainingOptions options)
    {
        for (int i = 0; i < options.Stages?.Count; i++)
        {
            TrainingStageOptions stage = options.Stages[i];
            if (i > 0 && stage.Until <= options.Stages[i - 1].Until)
                yield return new($"stages.{i}.until", $"until ({stage.Until}) must be more than that of the stage before " +
                    $"({options.Stages[i - 1].Until})");
            if (stage.BatchSize is { } size && options.MicroBatch > 0 && size % options.MicroBatch != 0)
                yield return new($"stages.{i}.batchSize", $"batchSize ({size}) must be a multiple of training.microBatchSize " +
                    $"({options.MicroBatch}); set microBatchSize to {Common(size, options.MicroBatch)}");
        }
    }

    /// <summary>Why sequences cannot be cut, with paths in the whole recipe.</summary>
    public static IEnumerable<Problem> Check(TrainingOptions options, ModelOptions model, DataOptions data)
    {
        for (int i = 0; i < options.Stages?.Count; i++)
        {
            if (options.Stages[i].SequenceLength is not { } length) continue;
            string path = $"training.stages.{i}.sequenceLength";
            if (data.Objective != DataObjective.Causal || data.Packing != DataPacking.Crops || data.PositionSkipping is not null)
                yield return new(path, "cuts windows of consecutive tokens, and this run has other rows; remove it, or set " +
                    "data.objective to 'causal' and data.packing to 'crops', without positionSkipping");
            else if (model.PrefixLength() > 1)
                yield return new(path, "cuts sequences, of which only the first piece would have the prefix that attention pattern " +
                    "'prefix' reads together; remove it, or use pattern 'causal'");
            else if (model.ContextLength % length != 0)
                yield return new(path, $"sequenceLength ({length}) must divide model.contextLength ({model.ContextLength}); try " +
                    $"{Divisor(model.ContextLength, length)}");
        }
    }

    /// <summary>The largest divisor that is at most <paramref name="wanted"/>.</summary>
    private static int Divisor(int number, int wanted)
    {
        int divisor = Math.Min(number, wanted);
        while (number % divisor != 0) divisor--;
        return divisor;
    }

    private static int Common(int left, int right) => right == 0 ? left : Common(right, left % right);
}
