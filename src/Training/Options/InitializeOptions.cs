using System.ComponentModel;

namespace Trainer.Training;

/// <summary>Where the first weights come from.</summary>
public sealed record InitializeOptions
{
    /// <summary>A checkpoint, or a run directory (its best, else its newest). Its weights must match the model by name and
    /// shape, and its tokenizer must be the same. Optimizer, step and data position start afresh.</summary>
    [Description("A checkpoint or run directory whose weights to start from; its tokenizer and weight shapes must match.")]
    public required string From { get; init; }

    /// <summary>How its weights are changed before training; null for not at all.</summary>
    [Description("How those weights are changed before training.")]
    public ConvertOptions? Convert { get; init; }
}
