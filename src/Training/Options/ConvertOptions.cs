using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Checkpoints.GroupedQuery;

namespace Trainer.Training;

/// <summary>How the weights of another model become the first weights of this one: the section <c>initialize.convert</c>.</summary>
/// <remarks>The model that is trained is <c>model</c> with so many key-value heads, so that uptraining (Ainslie et al. 2023) takes the recipe
/// of the original, fewer steps, and this. Random heads are drawn from the recipe's seed.</remarks>
public sealed record ConvertOptions
{
    /// <summary>Key-value heads of the model that is trained; they divide those of the weights.</summary>
    [Description("Key-value heads of the model that is trained; they divide those of the weights it begins with.")]
    [Range(1, 4096)]
    public required int KeyValueHeads { get; init; }

    /// <summary>What becomes of the heads that are to be one.</summary>
    [Description("What becomes of the key and value heads that are to be one: mean, first, or random for a new one.")]
    public HeadPool Pool { get; init; } = HeadPool.Mean;
}
