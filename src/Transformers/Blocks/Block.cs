// Shapes: B batch, T positions, C model dimension.
using Trainer.Transformers.Attention;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>One layer: a mixer, in which positions exchange information, in some architectures attention to an encoder, and a feed-forward layer,
/// each position by itself; with norms and residuals around them.</summary>
internal abstract class Block : nn.Module
{
    private readonly double dropout;

    protected Block(string name, ModelParts parts)
        : base(name) => dropout = parts.Dropout;

    /// <summary>The part in which positions exchange information.</summary>
    public abstract Mixer Mixer { get; }

    /// <summary>Attention to an encoder's output; null where there is none.</summary>
    public abstract CrossAttention? Cross { get; }

    /// <summary>Runs the layer.</summary>
    /// <param name="x">(B, T, C), float32.</param>
    /// <param name="context">Where these positions stand and what is remembered of earlier ones.</param>
    /// <param name="cross">What is remembered of the encoder's output; null when the pass holds it itself.</param>
    /// <returns>(B, T, C), float32.</returns>
    public abstract Tensor Run(Tensor x, MixerContext context, LayerState? cross);

    /// <summary>An empty memory for decoding, but for the encoder's output, which it holds.</summary>
    public BlockState NewState(int batch, int capacity, Device device, EncoderMemory? memory) =>
        new(Mixer.NewState(batch, capacity, device), memory is null ? null : Cross!.Remember(memory));

    /// <summary>The block for a placement of norms.</summary>
    public static Block Create(ModelParts parts, LayerOptions layer) => (layer.Norm.Placement, parts.ParallelResidual) switch
    {
        (NormPlacement.Pre, false) => new PreNormBlock(parts, layer),
        (NormPlacement.Pre, true) => new ParallelBlock(parts, layer),
        (NormPlacement.Post, _) => new PostNormBlock(parts, layer),
        (NormPlacement.Sandwich, _) => new SandwichBlock(parts, layer),
        _ => throw new ArgumentOutOfRangeException(nameof(layer), layer.Norm.Placement, "unknown placement"),
    };

    /// <summary>A norm of the residual stream.</summary>
    protected static Norm StreamNorm(ModelParts parts, LayerOptions layer) => layer.Norm.Build(parts.Dim, parts.Bias);

    /// <summary>The norm that the mixer reads, and nobody else: attention by its projection alone, which rounds it.</summary>
    protected static Norm MixerNorm(ModelParts parts, LayerOptions layer) =>
        layer.Norm.Build(parts.Dim, parts.Bias, parts.ComputeType == ScalarType.BFloat16 && layer.Mixer.Attends);

    /// <summary>The norm that the feed-forward layer reads, and nobody else.</summary>
    protected static Norm FeedForwardNorm(ModelParts parts, LayerOptions layer) =>
        layer.Norm.Build(parts.Dim, parts.Bias, parts.ComputeType == ScalarType.BFloat16 && layer.FeedForward.ReadsRounded);

    /// <summary>A norm of the residual stream for the attention to an encoder, where there is one.</summary>
    protected static Norm? CrossNorm(ModelParts parts, LayerOptions layer) => layer.Cross is null ? null : StreamNorm(parts, layer);

    /// <summary>Drops some of what a branch adds to the residual stream, while training.</summary>
    protected Tensor Drop(Tensor branch, MixerContext context, DropoutPlace place) =>
        dropout > 0 && training ? context.Pass.Drop(branch, dropout, context.Layer, place) : branch;
}
