using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Sees what every part of a model computes, as it is computed, for instruments: it may look at numbers and at the clock.</summary>
public interface ILayerObserver
{
    /// <summary>Gets a part's output, (B, T, C) or the head's loss, on the thread that computes it; what it returns is used in its place,
    /// and has to have the same numbers. Parts come in the order they run in; one of a checkpointed block comes again in the backward
    /// pass.</summary>
    Tensor Observe(LayerPart part, Tensor output);
}

/// <summary>A part of a model: of a block, from 0, or, without one, of the stack or the whole.</summary>
/// <param name="Stack"><c>encoder.</c> or <c>decoder.</c>, where a model has both; else empty.</param>
/// <param name="Layer">The block; null for what is in none.</param>
/// <param name="Name">Such as <c>mixer</c>, as weights are named; empty for the whole block.</param>
/// <param name="Kind">What it computes.</param>
public readonly record struct LayerPart(string Stack, int? Layer, string Name, LayerKind Kind)
{
    /// <summary>Such as <c>blocks.3.mixer</c>.</summary>
    public override string ToString() =>
        Stack + (Layer is { } layer ? $"blocks.{layer}{(Name.Length == 0 ? "" : ".")}" : "") + Name;
}

/// <summary>What a part of a model computes.</summary>
public enum LayerKind
{
    /// <summary>Token embeddings, positions that are added to them, their norm and dropout.</summary>
    Embedding,

    /// <summary>A norm, and the residual sum that is fused with it.</summary>
    Norm,

    /// <summary>Attention, from queries to the output matrix, with dropout behind it.</summary>
    Attention,

    /// <summary>A recurrence in the place of attention.</summary>
    StateSpace,

    /// <summary>A feed-forward layer, dense or of experts, with dropout behind it.</summary>
    FeedForward,

    /// <summary>The stream that a block leaves.</summary>
    Residual,

    /// <summary>The head and the loss.</summary>
    Head,
}
