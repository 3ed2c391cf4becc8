using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Training;

/// <summary>When checkpoints are written, and how many are kept.</summary>
/// <remarks>Besides, one is written after each evaluation that is the best so far, after the last step, and when the run
/// is interrupted.</remarks>
public sealed record CheckpointOptions
{
    /// <summary>Steps between checkpoints; 0: none on a schedule.</summary>
    [Description("Steps between checkpoints; 0: none on a schedule, only best, last and interrupted.")]
    [Range(0, long.MaxValue)]
    public long Every { get; init; } = 500;

    /// <summary>How many of the newest checkpoints are kept; the best and the last one stay in any case.</summary>
    [Description("How many of the newest checkpoints are kept; the best and the last one stay in any case.")]
    [Range(1, int.MaxValue)]
    public int Keep { get; init; } = 3;

    /// <summary>Whether checkpoints are written from a copy of weights and optimizer while training goes on; null: where the copy takes at most
    /// 1 GiB.</summary>
    [Description("Whether checkpoints are written from a copy of weights and optimizer while training goes on. null: where that copy takes at most 1 GiB.")]
    public bool? Background { get; init; }

    /// <summary>Whether they are written in the background.</summary>
    /// <param name="copy">Bytes that the copy takes.</param>
    internal bool InBackground(long copy) => Background ?? copy <= LargestCopy;

    private const long LargestCopy = 1L << 30;
}
