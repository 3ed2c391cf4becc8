// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>norm(x + mixer(x)), then norm(x + feedForward(x)) (Vaswani et al. 2017, BERT, BART). No norm follows the last block.</summary>
internal sealed class PostNormBlock : Block
{
    private readonly Mixer mixer;
    private readonly Norm mixerNorm;
    private readonly CrossAttention? cross;
    private readonly Norm? crossNorm;
    private readonly FeedForwardModule feedForward;
    private readonly Norm feedForwardNorm;

    public PostNormBlock(ModelParts parts, LayerOptions layer)
        : base(nameof(PostNormBlock), parts)
    {
        mixer = layer.BuildMixer(parts);
        mixerNorm = StreamNorm(parts, layer);
        cross = layer.BuildCross(parts);
        crossNorm = CrossNorm(parts, layer);
        feedForward = layer.FeedForward.Build(parts);
        feedForwardNorm = StreamNorm(parts, layer);
        RegisterComponents();
    }

    public override Mixer Mixer => mixer;

    public override CrossAttention? Cross => cross;

    public override Tensor Run(Tensor x, MixerContext context, LayerState? crossState)
    {
        using DisposeScope scope = NewDisposeScope();
        x = mixerNorm.Add(x, Drop(mixer.Mix(x, context), context, DropoutPlace.Mixer)).Norm; // (B, T, C)
        if (cross is not null) x = crossNorm!.Add(x, Drop(cross.Attend(x, context, crossState), context, DropoutPlace.Cross)).Norm;
        return feedForwardNorm.Add(x, Drop(feedForward.Run(x, context.Pass), context, DropoutPlace.FeedForward)).Norm.MoveToOuterDisposeScope();
    }
}
