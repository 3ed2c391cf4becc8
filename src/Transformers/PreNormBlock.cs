// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>x + mixer(norm(x)), then x + feedForward(norm(x)): the residual stream itself is never normalised.</summary>
internal sealed class PreNormBlock : Block
{
    private readonly Norm mixerNorm;
    private readonly Mixer mixer;
    private readonly Norm feedForwardNorm;
    private readonly nn.Module<Tensor, Tensor> feedForward;

    public PreNormBlock(ModelParts parts, LayerOptions layer)
        : base(nameof(PreNormBlock), parts)
    {
        mixerNorm = layer.Norm.Build(parts.Dim, parts.Bias);
        mixer = CreateMixer(parts, layer);
        feedForwardNorm = layer.Norm.Build(parts.Dim, parts.Bias);
        feedForward = layer.FeedForward.Build(parts);
        RegisterComponents();
    }

    public override Mixer Mixer => mixer;

    public override Tensor Run(Tensor x, MixerContext context)
    {
        // What the backward pass does not need is freed with this scope, not with the step's.
        using DisposeScope scope = NewDisposeScope();
        (Tensor mixed, Tensor normed) = feedForwardNorm.Add(x, Drop(mixer.Mix(mixerNorm.call(x), context))); // (B, T, C) each
        return mixed.add(Drop(feedForward.call(normed))).MoveToOuterDisposeScope(); // (B, T, C)
    }
}
