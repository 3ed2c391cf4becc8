// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>x + norm(mixer(norm(x))), then x + norm(feedForward(norm(x))): what joins the stream is normalised too
/// (Ding et al. 2021, arXiv 2105.13290; Gemma 2).</summary>
internal sealed class SandwichBlock : Block
{
    private readonly Norm mixerNorm;
    private readonly Mixer mixer;
    private readonly Norm mixerOutputNorm;
    private readonly Norm? crossNorm;
    private readonly CrossAttention? cross;
    private readonly Norm? crossOutputNorm;
    private readonly Norm feedForwardNorm;
    private readonly FeedForwardModule feedForward;
    private readonly Norm feedForwardOutputNorm;

    public SandwichBlock(ModelParts parts, LayerOptions layer)
        : base(nameof(SandwichBlock), parts)
    {
        mixerNorm = MixerNorm(parts, layer);
        mixer = layer.BuildMixer(parts);
        mixerOutputNorm = StreamNorm(parts, layer);
        crossNorm = CrossNorm(parts, layer);
        cross = layer.BuildCross(parts);
        crossOutputNorm = CrossNorm(parts, layer);
        feedForwardNorm = FeedForwardNorm(parts, layer);
        feedForward = layer.FeedForward.Build(parts);
        feedForwardOutputNorm = StreamNorm(parts, layer);
        RegisterComponents();
    }

    public override Mixer Mixer => mixer;

    public override CrossAttention? Cross => cross;

    public override Tensor Run(Tensor x, MixerContext context, LayerState? crossState)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor branch = Drop(mixerOutputNorm.call(mixer.Mix(mixerNorm.call(x), context)), context, DropoutPlace.Mixer), normed; // (B, T, C) each
        if (cross is not null)
        {
            (x, normed) = crossNorm!.Add(x, branch);
            branch = Drop(crossOutputNorm!.call(cross.Attend(normed, context, crossState)), context, DropoutPlace.Cross);
        }
        (x, normed) = feedForwardNorm.Add(x, branch);
        return x.add(Drop(feedForwardOutputNorm.call(feedForward.Run(normed, context.Pass)), context, DropoutPlace.FeedForward)).MoveToOuterDisposeScope();
    }
}
