using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;

namespace Trainer.Models;

/// <summary>Some consecutive layers that differ from the model's other ones: only what differs is said.</summary>
public sealed record LayerGroupOptions
{
    /// <summary>How many layers.</summary>
    [Description("How many consecutive layers.")]
    [Range(1, 1024)]
    public int Repeat { get; init; } = 1;

    /// <summary>What these layers exchange information with; null for the model's.</summary>
    [Description("What these layers exchange information with: attention or a recurrence; by default as in the model.")]
    [Inherits]
    public MixerOptions? Mixer { get; init; }

    /// <summary>What is different in attention; null for the model's.</summary>
    [Description("What differs in attention; the rest is the model's.")]
    [Inherits]
    public AttentionOptions? Attention { get; init; }

    /// <summary>How order enters; null for the model's. It must enter in attention, or nowhere (<c>none</c>).</summary>
    [Description("How order enters in these layers: rotary, alibi or none; by default as in the model.")]
    [Inherits]
    public PositionOptions? Position { get; init; }

    /// <summary>What is different in the feed-forward layer; null for the model's.</summary>
    [Description("What differs in the feed-forward layer; the rest is the model's.")]
    [Inherits]
    public FeedForwardOptions? FeedForward { get; init; }
}
