// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>x + mixer(norm(x)), then x + feedForward(norm(x)): the residual stream itself is never normalised (GPT-2, Llama).</summary>
internal sealed class PreNormBlock : Block
{
    private readonly Norm mixerNorm;
    private readonly Mixer mixer;
    private readonly Norm? crossNorm;
    private readonly CrossAttention? cross;
    private readonly Norm feedForwardNorm;
    private readonly FeedForwardModule feedForward;

    public PreNormBlock(ModelParts parts, LayerOptions layer)
        : base(nameof(PreNormBlock), parts)
    {
        mixerNorm = MixerNorm(parts, layer);
        mixer = layer.BuildMixer(parts);
        crossNorm = CrossNorm(parts, layer);
        cross = layer.BuildCross(parts);
        feedForwardNorm = FeedForwardNorm(parts, layer);
        feedForward = layer.FeedForward.Build(parts);
        RegisterComponents();
    }

    public override Mixer Mixer => mixer;

    public override CrossAttention? Cross => cross;

    public override Tensor Run(Tensor x, MixerContext context, LayerState? crossState)
    {
        // What the backward pass does not need is freed with this scope, not with the step's.
        using DisposeScope scope = NewDisposeScope();
        Tensor branch = Drop(mixer.Mix(mixerNorm.call(x), context), context, DropoutPlace.Mixer), normed; // (B, T, C) each
        if (cross is not null)
        {
            (x, normed) = crossNorm!.Add(x, branch);
            branch = Drop(cross.Attend(normed, context, crossState), context, DropoutPlace.Cross);
        }
        (x, normed) = feedForwardNorm.Add(x, branch);
        return x.add(Drop(feedForward.Run(normed, context.Pass), context, DropoutPlace.FeedForward)).MoveToOuterDisposeScope();
    }
}
