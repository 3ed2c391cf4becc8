using Trainer.Checkpoints.GroupedQuery;
using Trainer.Checkpoints.LongerContext;
using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Checkpoints;

/// <summary>What a checkpoint is to become: with fewer key-value heads, for a longer context, or both.</summary>
public sealed record ConversionRequest
{
    /// <summary>Key-value heads of each layer; null for as many as there are.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>What becomes of heads that are to be one.</summary>
    public HeadPool Pool { get; init; } = HeadPool.Mean;

    /// <summary>Draws random heads.</summary>
    public long Seed { get; init; } = 1337;

    /// <summary>How the context is made longer; null for not at all.</summary>
    public ContextExtension? Extension { get; init; }

    /// <summary>Why a model cannot be converted so: all that is wrong, with the names of the settings on the command line as paths.</summary>
    /// <param name="model">The checkpoint's model.</param>
    public IEnumerable<Problem> Problems(ModelOptions model)
    {
        if (KeyValueHeads is { } heads)
        {
            foreach (Problem problem in GroupedQueryModel.Problems(model, heads, "--key-value-heads")) yield return problem;
            if (heads > 0 && GroupedQueryModel.Has(model, heads))
                yield return new("--key-value-heads", $"model.attention has {heads} key-value {(heads == 1 ? "head" : "heads")} already; there is nothing to pool");
        }
        foreach (Problem problem in Extension?.Problems(model, "--rope-scaling", "--factor") ?? []) yield return problem;
    }

    /// <summary>The model that the checkpoint becomes.</summary>
    /// <param name="model">A model without <see cref="Problems"/>.</param>
    public ModelOptions Apply(ModelOptions model)
    {
        if (KeyValueHeads is { } heads) model = GroupedQueryModel.Apply(model, heads);
        return Extension?.Apply(model) ?? model;
    }
}
