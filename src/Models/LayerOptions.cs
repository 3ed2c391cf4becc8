using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;

namespace Trainer.Models;

/// <summary>Consecutive layers that differ from the model's others; only the differences are given.</summary>
public sealed record LayerGroupOptions
{
    /// <summary>How many layers.</summary>
    [Description("How many consecutive layers.")]
    [Range(1, 1024)]
    public int Repeat { get; init; } = 1;

    /// <summary>The mixer; null for the model's.</summary>
    [Description("What these layers exchange information with: attention or a recurrence; by default as in the model.")]
    [Inherits]
    public MixerOptions? Mixer { get; init; }

    /// <summary>Differences in attention; null for none.</summary>
    [Description("What differs in attention; the rest is the model's.")]
    [Inherits]
    public AttentionOptions? Attention { get; init; }

    /// <summary>The positions; null for the model's. Only kinds that act in attention, or <c>none</c>.</summary>
    [Description("How order enters in these layers: rotary, alibi or none; by default as in the model.")]
    [Inherits]
    public PositionOptions? Position { get; init; }

    /// <summary>Differences in the feed-forward layer; null for none.</summary>
    [Description("What differs in the feed-forward layer; the rest is the model's.")]
    [Inherits]
    public FeedForwardOptions? FeedForward { get; init; }
}

internal sealed record LayerOptions(
    AttentionOptions Attention,
    HeadProjectionOptions? Cross,
    PositionOptions Position,
    FeedForwardOptions FeedForward,
    NormOptions Norm)
{
    public MixerOptions Mixer { get; init; } = new AttentionMixerOptions();

    public PartCost MixerCost(ModelOptions model) => Mixer.Cost(model, this);

    public PartCost CrossCost(ModelOptions model) => Cross?.CrossCost(model) ?? default;

    public Mixer BuildMixer(StackContext stack) => Mixer.Build(stack, this);

    public AttentionLayer? BuildCross(StackContext stack) => Cross is null ? null : new(stack, Cross, HeadNorm(stack), cross: true);

    public NormBuilder HeadNorm(StackContext stack) => width => Norm.Build(width, stack.Bias);
}

internal sealed record StackOptions(string Role, IReadOnlyList<LayerOptions> Layers)
{
    public const string Decoder = "decoder";

    public const string Encoder = "encoder";

    public bool IsCausal => Role == Decoder;
}
