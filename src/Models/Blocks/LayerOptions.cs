using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Norms;
using Trainer.Models.Positions;

namespace Trainer.Models;

/// <summary>The choices one layer is built from, after everything that may differ between layers has been resolved.</summary>
/// <param name="Attention">Attention, its pattern not null.</param>
/// <param name="Cross">Attention to an encoder's output; null where there is none.</param>
/// <param name="Position">How order enters.</param>
/// <param name="FeedForward">The feed-forward layer.</param>
/// <param name="Norm">The norms, and where they stand.</param>
internal sealed record LayerOptions(
    AttentionOptions Attention,
    AttentionOptions? Cross,
    PositionOptions Position,
    FeedForwardOptions FeedForward,
    NormOptions Norm)
{
    /// <summary>What positions exchange information with; attention by default.</summary>
    public MixerOptions Mixer { get; init; } = new AttentionMixerOptions();

    /// <summary>Weights and running costs of the part in which positions exchange information.</summary>
    public PartCost MixerCost(ModelOptions model) => Mixer.Cost(model, this);

    /// <summary>Weights and running costs of attention to an encoder's output.</summary>
    public PartCost CrossCost(ModelOptions model) => Cross?.CrossCost(model) ?? default;

    /// <summary>The mixer of this layer.</summary>
    public Mixer BuildMixer(ModelParts parts) => Mixer.Build(parts, this);

    /// <summary>Attention to an encoder's output; null where there is none.</summary>
    public AttentionLayer? BuildCross(ModelParts parts) => Cross is null ? null : new(parts, Cross, HeadNorm(parts), cross: true);

    /// <summary>Norms of query and key heads.</summary>
    public NormBuilder HeadNorm(ModelParts parts) => width => Norm.Build(width, parts.Bias);
}
