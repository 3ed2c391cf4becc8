// Shapes: B batch, T positions, C model dimension.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Norms;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Positions, blocks and the norm after them: an encoder, or a decoder.</summary>
/// <remarks>The names of the fields are the names of the weights in a checkpoint.</remarks>
internal sealed class BlockStack : nn.Module
{
    private readonly PositionEncoding position;
    private readonly Norm? embeddingNorm;
    private readonly ModuleList<Block> blocks;
    private readonly Norm? norm;
    private readonly PositionEncoding[] layerPositions;
    private readonly ModelParts parts;
    private readonly string role;

    /// <param name="stack">Its layers, and what it is called.</param>
    /// <param name="parts">What its layers share; owned from now on.</param>
    public BlockStack(StackOptions stack, ModelParts parts)
        : base(nameof(BlockStack))
    {
        (role, this.parts) = (stack.Role, parts);
        ModelOptions options = parts.Options;
        position = parts.Position(options.Position, options.Attention);
        embeddingNorm = options.EmbeddingNorm ? options.Norm.Build(options.Dim, options.Bias) : null;
        blocks = new([.. stack.Layers.Select(layer => new Block(parts, layer))]);
        layerPositions = [.. stack.Layers.Select(layer => parts.Position(layer.Position, layer.Attention))];
        norm = options.Norm.EndsStream ? options.Norm.Build(options.Dim, options.Bias) : null;
        RegisterComponents();
    }

    /// <summary>Whether blocks keep nothing for the backward pass but their inputs, and are run again by it.</summary>
    public bool Recomputes { get; set; }

    /// <summary>Runs the blocks.</summary>
    /// <param name="embedded">Token embeddings (B, T, C).</param>
    /// <param name="pass">Where the tokens stand; one for this call alone.</param>
    /// <param name="state">What is remembered; null when the input is a whole sequence.</param>
    /// <returns>(B, T, C), float32.</returns>
    public Tensor Run(Tensor embedded, ForwardPass pass, DecodingState? state = null)
    {
        Tensor x = Begin(embedded, pass); // (B, T, C)
        for (int layer = 0; layer < blocks.Count; layer++) x = RunBlock(layer, x, pass, state);
        return End(x);
    }

    /// <summary>From embeddings to what the first block reads: positions, a norm, dropout.</summary>
    public Tensor Begin(Tensor embedded, ForwardPass pass)
    {
        RequirePositions(pass.Reach);
        Tensor x = position.Embed(embedded, pass); // (B, T, C)
        if (embeddingNorm is not null) x = embeddingNorm.call(x);
        // The blocks' mode: a stack whose parts are registered under the names of a model is not switched itself.
        return parts.Dropout > 0 && blocks.training ? pass.Drop(x, parts.Dropout, layer: 0, DropoutPlace.Embedding) : x;
    }

    /// <summary>One block: (B, T, C) → (B, T, C).</summary>
    public Tensor RunBlock(int layer, Tensor x, ForwardPass pass, DecodingState? state = null)
    {
        BlockState? remembered = state?.Layer(layer);
        MixerContext context = new(pass, layer, layerPositions[layer], remembered?.Mixer);
        return Recomputes && state is null && is_grad_enabled() ? RunCheckpointed(blocks[layer], x, context) : blocks[layer].Run(x, context, remembered?.Cross);
    }

    /// <summary>The norm after the last block, where there is one.</summary>
    public Tensor End(Tensor x) => norm is null ? x : norm.call(x); // (B, T, C)

    /// <summary>An empty memory for decoding, but for the encoder's output, which it holds.</summary>
    public DecodingState NewState(int batch, int capacity, Device device, EncoderMemory? memory)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        RequirePositions(capacity);
        return new(batch, capacity, blocks.Select(block => block.NewState(batch, capacity, device, memory)));
    }

    /// <summary>The kernels of the layers, in order; a layer with attention to an encoder has two entries.</summary>
    public IEnumerable<KernelReport> Kernels(int length, Device device)
    {
        for (int layer = 0; layer < blocks.Count; layer++)
        {
            if (blocks[layer].Mixer.Kernel(length, device, layerPositions[layer].AddsBias) is { } own) yield return new(layer, own.Kernel, own.Backend) { Stack = role };
            if (blocks[layer].Cross?.Kernel(length, device, biased: false) is { } cross) yield return new(layer, cross.Kernel, cross.Backend) { Stack = role, Cross = true };
        }
    }

    /// <summary>Frees masks and tables as well.</summary>
    protected override void Dispose(bool disposing)
    {
        if (disposing) parts.Dispose();
        base.Dispose(disposing);
    }

    private Tensor RunCheckpointed(Block block, Tensor x, MixerContext context)
    {
        ForwardPass pass = context.Pass.Lease();
        AuxiliaryLosses? auxiliary = pass.Auxiliary;
        IReadOnlyList<Tensor> Segment(Tensor input)
        {
            int before = auxiliary?.Count ?? 0;
            Tensor result = block.Run(input, context, crossState: null); // (B, T, C)
            return auxiliary is null ? [result] : [result, .. auxiliary.TakeFrom(before)];
        }

        bool draws = parts.Dropout > 0 && blocks.training && x.device_type != DeviceType.CPU;
        IReadOnlyList<Tensor> results = ActivationCheckpoint.Run(
            Segment, x, () => [.. block.parameters(), .. pass.Differentiable], pass.Dispose, draws ? x.device : null);
        foreach (Tensor loss in results.Skip(1)) auxiliary!.Add(loss);
        return results[0];
    }

    private void RequirePositions(long positions)
    {
        if (positions > position.Limit)
            throw new UserException($"{positions} positions are more than the {position.Limit} this model has learned; use at most contextLength ({parts.Options.ContextLength}).");
    }
}
