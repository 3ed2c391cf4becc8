using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using Trainer.Transformers.Positions;

namespace Trainer.Transformers;

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
    /// <summary>Weights and running costs of the parts in which positions exchange information.</summary>
    public PartCost MixerCost(ModelOptions model) =>
        Attention.Cost(model) + new PartCost(Attention.ScalableSoftmax ? Attention.Heads : 0, 0) + (Cross?.CrossCost(model) ?? default);

    /// <summary>The mixer of this layer.</summary>
    public Mixer BuildMixer(ModelParts parts) => new SelfAttention(parts, Attention, HeadNorm(parts));

    /// <summary>Attention to an encoder's output; null where there is none.</summary>
    public CrossAttention? BuildCross(ModelParts parts) => Cross is null ? null : new CrossAttention(parts, Cross, HeadNorm(parts));

    private NormBuilder HeadNorm(ModelParts parts) => width => Norm.Build(width, parts.Bias);
}
