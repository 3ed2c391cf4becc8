// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>One layer: a mixer, optional cross-attention, and a feed-forward layer, norms and residuals.</summary>
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

    public Block(StackContext stack, LayerOptions layer)
        : base(nameof(Block))
    {
        (placement, parallel, dropout) = (layer.Norm.Placement, stack.ParallelResidual, stack.Dropout);
        bool before = placement != NormPlacement.Post, after = placement == NormPlacement.Sandwich;
        bool rounds = before && stack.ComputeType == ScalarType.BFloat16;
        mixerNorm = NewNorm(rounds && layer.Mixer.Attends);
        mixer = layer.BuildMixer(stack);
        mixerOutputNorm = after ? NewNorm() : null;
        if (layer.Cross is not null)
        {
            crossNorm = NewNorm();
            cross = layer.BuildCross(stack);
            crossOutputNorm = after ? NewNorm() : null;
        }
        feedForwardNorm = NewNorm(rounds && layer.FeedForward.ReadsRounded);
        feedForward = layer.FeedForward.Build(stack);
        feedForwardOutputNorm = after ? NewNorm() : null;
        Register((nameof(mixerNorm), mixerNorm), (nameof(mixer), mixer), (nameof(mixerOutputNorm), mixerOutputNorm));
        Register((nameof(crossNorm), crossNorm), (nameof(cross), cross), (nameof(crossOutputNorm), crossOutputNorm));
        Register(
            (nameof(feedForwardNorm), feedForwardNorm), (nameof(feedForward), feedForward),
            (nameof(feedForwardOutputNorm), feedForwardOutputNorm));

        // In order of computation, which is the order of weights in a checkpoint.
        void Register((string, nn.Module?) norm, (string, nn.Module?) branch, (string, nn.Module?) outputNorm)
        {
            foreach ((string name, nn.Module? module) in before ? [norm, branch, outputNorm] : ((string, nn.Module?)[])[branch, norm])
                if (module is not null) register_module(name, module);
        }

        // In bfloat16 if all readers would round it.
        Norm NewNorm(bool readRounded = false) => layer.Norm.Build(stack.Dim, stack.Bias, readRounded);
    }

    public Mixer Mixer => mixer;

    public AttentionLayer? Cross => cross;

    /// <summary>(B, T, C) → (B, T, C), float32. <paramref name="crossState"/> caches the encoder's keys and values.</summary>
    public Tensor Run(Tensor x, MixerContext context, LayerState? crossState)
    {
        // Frees what the backward pass does not need.
        using DisposeScope scope = NewDisposeScope();
        Tensor result = placement == NormPlacement.Post ? RunPost(x, context, crossState)
            : parallel ? RunParallel(x, context)
            : RunPre(x, context, crossState);
        return result.MoveToOuterDisposeScope();
    }

    public BlockState NewState(int batch, int capacity, Device device, EncoderMemory? memory) =>
        new(mixer.NewState(batch, capacity, device), memory is null ? null : cross!.NewCrossState(memory));

    // x + branch(norm(x)): the stream itself is never normalised (GPT-2, Llama); or x + norm(branch(norm(x))) (Ding et al. 2021, arXiv
    // 2105.13290; Gemma 2).
    private Tensor RunPre(Tensor x, MixerContext context, LayerState? crossState)
    {
        // (B, T, C) each
        Tensor branch = Mixed(Show(mixerNorm.call(x), context, LayerKind.Norm, nameof(mixerNorm)), context, mixerOutputNorm), normed;
        if (cross is not null)
        {
            (x, normed) = Added(crossNorm!, x, branch, context, nameof(crossNorm));
            branch = Crossed(normed, context, crossState, crossOutputNorm);
        }
        (x, normed) = Added(feedForwardNorm, x, branch, context, nameof(feedForwardNorm));
        return Left(x.add(Fed(normed, context, feedForwardOutputNorm)), context);
    }

    // norm(x + branch(x)) (Vaswani et al. 2017, BERT, BART). No norm follows the last block.
    private Tensor RunPost(Tensor x, MixerContext context, LayerState? crossState)
    {
        x = Added(mixerNorm, x, Mixed(x, context, null), context, nameof(mixerNorm)).Norm; // (B, T, C)
        if (cross is not null) x = Added(crossNorm!, x, Crossed(x, context, crossState, null), context, nameof(crossNorm)).Norm;
        return Left(Added(feedForwardNorm, x, Fed(x, context, null), context, nameof(feedForwardNorm)).Norm, context);
    }

    // x + mixer(norm(x)) + feedForward(norm(x)): both branches read the same stream, each through a norm of its own (GPT-NeoX).
    private Tensor RunParallel(Tensor x, MixerContext context)
    {
        // (B, T, C) each
        Tensor mixed = Mixed(Show(mixerNorm.call(x), context, LayerKind.Norm, nameof(mixerNorm)), context, null);
        Tensor fed = Fed(Show(feedForwardNorm.call(x), context, LayerKind.Norm, nameof(feedForwardNorm)), context, null);
        return Left(x.add(mixed).add(fed), context);
    }

    // Each branch with the norm and the dropout behind it, shown to who wants to see it. (B, T, C) → (B, T, C)
    private Tensor Mixed(Tensor x, MixerContext context, Norm? outputNorm) => Show(
        Drop(Normed(mixer.Mix(x, context), outputNorm), context, DropoutPlace.Mixer),
        context, mixer is AttentionLayer ? LayerKind.Attention : LayerKind.StateSpace, nameof(mixer));

    private Tensor Crossed(Tensor x, MixerContext context, LayerState? crossState, Norm? outputNorm) => Show(
        Drop(Normed(cross!.Mix(x, context with { State = crossState }), outputNorm), context, DropoutPlace.Cross),
        context, LayerKind.Attention, nameof(cross));

    private Tensor Fed(Tensor x, MixerContext context, Norm? outputNorm) => Show(
        Drop(Normed(feedForward.Run(x, context.Attention), outputNorm), context, DropoutPlace.FeedForward),
        context, LayerKind.FeedForward, nameof(feedForward));

    private static (Tensor Sum, Tensor Norm) Added(Norm norm, Tensor x, Tensor branch, MixerContext context, string name)
    {
        (Tensor sum, Tensor normed) = norm.Add(x, branch);
        return (sum, Show(normed, context, LayerKind.Norm, name));
    }

    private static Tensor Left(Tensor x, MixerContext context) => Show(x, context, LayerKind.Residual, "");

    private static Tensor Show(Tensor x, MixerContext context, LayerKind kind, string name) =>
        context.Attention.Show(x, kind, name, context.Layer);

    private static Tensor Normed(Tensor branch, Norm? norm) => norm is null ? branch : norm.call(branch);

    private Tensor Drop(Tensor branch, MixerContext context, DropoutPlace place) =>
        dropout > 0 && training ? context.Attention.Drop(branch, dropout, context.Layer, place) : branch;
}

/// <summary>Positions, blocks and the final norm of an encoder or decoder. Field names are the names of weights in a checkpoint.</summary>
internal sealed class BlockStack : nn.Module
{
    private readonly PositionEncoding position;
    private readonly Norm? embeddingNorm;
    private readonly ModuleList<Block> blocks;
    private readonly Norm? norm;
    private readonly PositionEncoding[] layerPositions;
    private readonly StackContext stack;
    private readonly string role;

    public BlockStack(StackOptions options, StackContext stack)
        : base(nameof(BlockStack))
    {
        (role, this.stack) = (options.Role, stack);
        ModelOptions model = stack.Options;
        position = stack.Position(model.Position, model.Attention);
        embeddingNorm = model.EmbeddingNorm ? model.Norm.Build(model.Dim, model.Bias) : null;
        blocks = new([.. options.Layers.Select(layer => new Block(stack, layer))]);
        layerPositions = [.. options.Layers.Select(layer => stack.Position(layer.Position, layer.Attention))];
        norm = model.Norm.EndsStream ? model.Norm.Build(model.Dim, model.Bias) : null;
        RegisterComponents();
    }

    public bool ActivationCheckpointing { get; set; }

    public IReadOnlyList<Block> Blocks => [.. blocks];

    /// <summary>(B, T, C) → (B, T, C), float32; whole sequences without a state.</summary>
    public Tensor Run(Tensor embedded, AttentionContext attention, DecodingState? state = null)
    {
        Tensor x = Begin(embedded, attention); // (B, T, C)
        for (int layer = 0; layer < blocks.Count; layer++) x = RunBlock(layer, x, attention, state);
        return norm is null ? x : attention.Show(End(x), LayerKind.Norm, nameof(norm));
    }

    /// <summary>From embeddings to what the first block reads, (B, T, C) → (B, T, C): positions, a norm, dropout.</summary>
    public Tensor Begin(Tensor embedded, AttentionContext attention)
    {
        RequirePositions(attention.PositionLimit);
        Tensor x = position.Embed(embedded, attention); // (B, T, C)
        if (embeddingNorm is not null) x = embeddingNorm.call(x);
        // The blocks' mode, as train() does not reach a stack whose modules are registered with the model.
        if (stack.Dropout > 0 && blocks.training) x = attention.Drop(x, stack.Dropout, layer: 0, DropoutPlace.Embedding);
        return attention.Show(x, LayerKind.Embedding, "embedding");
    }

    public Tensor RunBlock(int layer, Tensor x, AttentionContext attention, DecodingState? state = null) // (B, T, C) → (B, T, C)
    {
        if (attention.Differentiated is { } tell) x = BackwardSignal.At(x, () => tell(blocks[layer]));
        BlockState? cached = state?.Layer(layer);
        MixerContext context = new(attention, layer, layerPositions[layer], cached?.Mixer);
        return ActivationCheckpointing && state is null && is_grad_enabled()
            ? RunCheckpointed(blocks[layer], x, context)
            : blocks[layer].Run(x, context, cached?.Cross);
    }

    public Tensor End(Tensor x) => norm is null ? x : norm.call(x); // (B, T, C)

    public DecodingState NewState(int batch, int capacity, Device device, EncoderMemory? memory)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        RequirePositions(capacity);
        return new(batch, capacity, device, blocks.Select(block => block.NewState(batch, capacity, device, memory)));
    }

    /// <summary>The kernels of the layers in order; a layer with cross-attention has two entries.</summary>
    public IEnumerable<KernelReport> Kernels(int length, Device device)
    {
        for (int layer = 0; layer < blocks.Count; layer++)
        {
            if (blocks[layer].Mixer.Kernel(length, device, layerPositions[layer].AddsBias) is { } own)
                yield return new(layer, own.Kernel, own.Backend) { Stack = role };
            if (blocks[layer].Cross?.Kernel(length, device, biased: false) is { } cross)
                yield return new(layer, cross.Kernel, cross.Backend) { Stack = role, Cross = true };
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) stack.Dispose();
        base.Dispose(disposing);
    }

    private Tensor RunCheckpointed(Block block, Tensor x, MixerContext context)
    {
        AttentionContext attention = context.Attention.Lease();
        AuxiliaryLosses? auxiliary = attention.Auxiliary;
        IReadOnlyList<Tensor> Segment(Tensor input)
        {
            int before = auxiliary?.Count ?? 0;
            Tensor result = block.Run(input, context, crossState: null); // (B, T, C)
            return auxiliary is null ? [result] : [result, .. auxiliary.TakeFrom(before)];
        }

        bool draws = (stack.Dropout > 0 || Drops(block)) && blocks.training && x.device_type != DeviceType.CPU;
        IReadOnlyList<Tensor> results = ActivationCheckpoint.Run(
            Segment, x, () => [.. block.parameters(), .. attention.Differentiable], attention.Dispose, draws ? x.device : null);
        foreach (Tensor loss in results.Skip(1)) auxiliary!.Add(loss);
        return results[0];
    }

    private static bool Drops(Block block) => block.modules().OfType<LowRankUpdate>().Any(update => update.Drops);

    private void RequirePositions(long positions)
    {
        if (positions > position.Limit)
            throw new UserException(
                $"{positions} positions are more than the {position.Limit} this model has learned; use at most contextLength " +
                $"({stack.Options.ContextLength}).");
    }
}
