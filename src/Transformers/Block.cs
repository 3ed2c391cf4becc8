// Shapes: B batch, T positions, C model dimension.
using Trainer.Transformers.Attention;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Transformers;

/// <summary>One layer: a mixer, in which positions exchange information, and a feed-forward layer, each position by itself,
/// with norms and residuals around them.</summary>
internal abstract class Block : nn.Module
{
    private readonly double dropout;

    protected Block(string name, ModelParts parts)
        : base(name) => dropout = parts.Dropout;

    /// <summary>The part in which positions exchange information.</summary>
    public abstract Mixer Mixer { get; }

    /// <summary>Runs the layer.</summary>
    /// <param name="x">(B, T, C), float32.</param>
    /// <param name="context">Where these positions stand and what is remembered of earlier ones.</param>
    /// <returns>(B, T, C), float32.</returns>
    public abstract Tensor Run(Tensor x, MixerContext context);

    /// <summary>The block for a placement of norms.</summary>
    public static Block Create(ModelParts parts, LayerOptions layer) => layer.Norm.Placement switch
    {
        NormPlacement.Pre => new PreNormBlock(parts, layer),
        _ => throw new ArgumentOutOfRangeException(nameof(layer), layer.Norm.Placement, "unknown placement"),
    };

    /// <summary>Attention with the norms of this layer.</summary>
    protected static Mixer CreateMixer(ModelParts parts, LayerOptions layer) =>
        new SelfAttention(parts, layer.Attention, width => layer.Norm.Build(width, parts.Bias));

    /// <summary>Drops what a branch adds to the residual stream, while training.</summary>
    protected Tensor Drop(Tensor branch) => dropout > 0 && training ? functional.dropout(branch, dropout, training: true) : branch;
}
