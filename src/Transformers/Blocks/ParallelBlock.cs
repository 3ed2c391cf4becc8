// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>x + mixer(norm(x)) + feedForward(norm(x)): both branches read the same stream, each through a norm of its own (GPT-NeoX).</summary>
internal sealed class ParallelBlock : Block
{
    private readonly Norm mixerNorm;
    private readonly Mixer mixer;
    private readonly Norm feedForwardNorm;
    private readonly FeedForwardModule feedForward;

    public ParallelBlock(ModelParts parts, LayerOptions layer)
        : base(nameof(ParallelBlock), parts)
    {
        mixerNorm = MixerNorm(parts, layer);
        mixer = layer.BuildMixer(parts);
        feedForwardNorm = FeedForwardNorm(parts, layer);
        feedForward = layer.FeedForward.Build(parts);
        RegisterComponents();
    }

    public override Mixer Mixer => mixer;

    public override CrossAttention? Cross => null;

    public override Tensor Run(Tensor x, MixerContext context, LayerState? crossState)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor mixed = Drop(mixer.Mix(mixerNorm.call(x), context), context, DropoutPlace.Mixer); // (B, T, C)
        Tensor fed = Drop(feedForward.Run(feedForwardNorm.call(x), context.Pass), context, DropoutPlace.FeedForward); // (B, T, C)
        return x.add(mixed).add(fed).MoveToOuterDisposeScope();
    }
}
