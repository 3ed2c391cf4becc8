// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Norms;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>One layer: a mixer, in which positions exchange information, in some architectures attention to an encoder, and a feed-forward layer,
/// each position by itself; with norms, where <see cref="NormPlacement"/> puts them, and residuals around them.</summary>
internal sealed class Block : nn.Module
{
    private readonly Norm mixerNorm;
    private readonly Mixer mixer;
    private readonly Norm? mixerOutputNorm;
    private readonly Norm? crossNorm;
    private readonly AttentionLayer? cross;
    private readonly Norm? crossOutputNorm;
    private readonly Norm feedForwardNorm;
    private readonly FeedForwardModule feedForward;
    private readonly Norm? feedForwardOutputNorm;
    private readonly NormPlacement placement;
    private readonly bool parallel;
    private readonly double dropout;

    /// <param name="parts">What the layers of a stack share.</param>
    /// <param name="layer">The choices.</param>
    public Block(ModelParts parts, LayerOptions layer)
        : base(nameof(Block))
    {
        (placement, parallel, dropout) = (layer.Norm.Placement, parts.ParallelResidual, parts.Dropout);
        bool before = placement != NormPlacement.Post, after = placement == NormPlacement.Sandwich, rounds = before && parts.ComputeType == ScalarType.BFloat16;
        mixerNorm = NewNorm(rounds && layer.Mixer.Attends);
        mixer = layer.BuildMixer(parts);
        mixerOutputNorm = after ? NewNorm() : null;
        if (layer.Cross is not null)
        {
            crossNorm = NewNorm();
            cross = layer.BuildCross(parts);
            crossOutputNorm = after ? NewNorm() : null;
        }
        feedForwardNorm = NewNorm(rounds && layer.FeedForward.ReadsRounded);
        feedForward = layer.FeedForward.Build(parts);
        feedForwardOutputNorm = after ? NewNorm() : null;
        Register((nameof(mixerNorm), mixerNorm), (nameof(mixer), mixer), (nameof(mixerOutputNorm), mixerOutputNorm));
        Register((nameof(crossNorm), crossNorm), (nameof(cross), cross), (nameof(crossOutputNorm), crossOutputNorm));
        Register((nameof(feedForwardNorm), feedForwardNorm), (nameof(feedForward), feedForward), (nameof(feedForwardOutputNorm), feedForwardOutputNorm));

        // In the order they are computed in, which is that of a checkpoint's weights.
        void Register((string, nn.Module?) norm, (string, nn.Module?) branch, (string, nn.Module?) outputNorm)
        {
            foreach ((string name, nn.Module? module) in before ? [norm, branch, outputNorm] : ((string, nn.Module?)[])[branch, norm])
                if (module is not null) register_module(name, module);
        }

        // Rounded where only those read it who round it themselves.
        Norm NewNorm(bool readRounded = false) => layer.Norm.Build(parts.Dim, parts.Bias, readRounded);
    }

    /// <summary>The part in which positions exchange information.</summary>
    public Mixer Mixer => mixer;

    /// <summary>Attention to an encoder's output; null where there is none.</summary>
    public AttentionLayer? Cross => cross;

    /// <summary>Runs the layer.</summary>
    /// <param name="x">(B, T, C), float32.</param>
    /// <param name="context">Where these positions stand and what is remembered of earlier ones.</param>
    /// <param name="crossState">What is remembered of the encoder's output; null when the pass holds it itself.</param>
    /// <returns>(B, T, C), float32.</returns>
    public Tensor Run(Tensor x, MixerContext context, LayerState? crossState)
    {
        // What the backward pass does not need is freed with this scope, not with the step's.
        using DisposeScope scope = NewDisposeScope();
        Tensor result = placement == NormPlacement.Post ? RunPost(x, context, crossState) : parallel ? RunParallel(x, context) : RunPre(x, context, crossState);
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>An empty memory for decoding, but for the encoder's output, which it holds.</summary>
    public BlockState NewState(int batch, int capacity, Device device, EncoderMemory? memory) =>
        new(mixer.NewState(batch, capacity, device), memory is null ? null : cross!.Remember(memory));

    // x + branch(norm(x)): the stream itself is never normalised (GPT-2, Llama); or x + norm(branch(norm(x))) (Ding et al. 2021, arXiv 2105.13290; Gemma 2).
    private Tensor RunPre(Tensor x, MixerContext context, LayerState? crossState)
    {
        Tensor branch = Drop(Ended(mixer.Mix(mixerNorm.call(x), context), mixerOutputNorm), context, DropoutPlace.Mixer), normed; // (B, T, C) each
        if (cross is not null)
        {
            (x, normed) = crossNorm!.Add(x, branch);
            branch = Drop(Ended(cross.Mix(normed, context with { State = crossState }), crossOutputNorm), context, DropoutPlace.Cross);
        }
        (x, normed) = feedForwardNorm.Add(x, branch);
        return x.add(Drop(Ended(feedForward.Run(normed, context.Pass), feedForwardOutputNorm), context, DropoutPlace.FeedForward));
    }

    // norm(x + branch(x)) (Vaswani et al. 2017, BERT, BART). No norm follows the last block.
    private Tensor RunPost(Tensor x, MixerContext context, LayerState? crossState)
    {
        x = mixerNorm.Add(x, Drop(mixer.Mix(x, context), context, DropoutPlace.Mixer)).Norm; // (B, T, C)
        if (cross is not null) x = crossNorm!.Add(x, Drop(cross.Mix(x, context with { State = crossState }), context, DropoutPlace.Cross)).Norm;
        return feedForwardNorm.Add(x, Drop(feedForward.Run(x, context.Pass), context, DropoutPlace.FeedForward)).Norm;
    }

    // x + mixer(norm(x)) + feedForward(norm(x)): both branches read the same stream, each through a norm of its own (GPT-NeoX).
    private Tensor RunParallel(Tensor x, MixerContext context)
    {
        Tensor mixed = Drop(mixer.Mix(mixerNorm.call(x), context), context, DropoutPlace.Mixer); // (B, T, C)
        Tensor fed = Drop(feedForward.Run(feedForwardNorm.call(x), context.Pass), context, DropoutPlace.FeedForward); // (B, T, C)
        return x.add(mixed).add(fed);
    }

    private static Tensor Ended(Tensor branch, Norm? norm) => norm is null ? branch : norm.call(branch);

    // Drops some of what a branch adds to the stream, while training.
    private Tensor Drop(Tensor branch, MixerContext context, DropoutPlace place) =>
        dropout > 0 && training ? context.Pass.Drop(branch, dropout, context.Layer, place) : branch;
}
