// Shapes: B batch, T positions, S positions of the source, H heads, C model dimension.
using Trainer.Kernels;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What a stack's layers share in one forward pass.</summary>
/// <remarks>Owns its tensors. A checkpointed block, which runs again, holds a lease; the last one frees everything.</remarks>
internal sealed class AttentionContext : IDisposable
{
    private readonly Dictionary<object, Tensor> shared = [];
    private int? maxLength;
    private DropoutKey? dropping;
    private readonly bool records = is_grad_enabled();
    private int leases = 1;

    /// <summary>(B, T), int64; null for hidden states of no tokens.</summary>
    public Tensor? Tokens { get; init; }

    public int Offset { get; init; }

    /// <summary>(B, T); null for consecutive positions from <see cref="Offset"/>.</summary>
    public Tensor? Positions { get; init; }

    /// <summary>Null if tokens are as far apart as their columns, also in packed documents.</summary>
    public Tensor? SkippingPositions => Documents is null || PositionLimit > Positions?.size(1) ? Positions : null;

    public required int PositionLimit { get; init; }

    /// <summary>The longest the sequence can become: a state's capacity, or the last position + 1, which waits for the device.</summary>
    public int MaxLength
    {
        get => maxLength ??= Positions is null ? PositionLimit : (int)Positions.max().item<long>() + 1;
        init => maxLength = value;
    }

    public DocumentIds? Documents { get; init; }

    /// <summary>As <see cref="ModelInput.Lengths"/>.</summary>
    public int[]? Lengths { get; init; }

    /// <summary>The encoder's output; null without an encoder, or if a state has cached it.</summary>
    public EncoderMemory? Memory { get; init; }

    public AuxiliaryLosses? Auxiliary { get; init; }

    public DropoutKey Dropping => dropping ??= DropoutKey.Draw();

    public IAttentionObserver? Observer { get; init; }

    /// <summary>As <see cref="ModelInput.Adapters"/>; its owner keeps it for the pass.</summary>
    public AdapterRows? Adapters { get; init; }

    /// <summary>As <see cref="ModelInput.Differentiated"/>.</summary>
    public Action<nn.Module>? Differentiated { get; init; }

    /// <summary>As <see cref="ModelInput.Observer"/>, and the prefix that <see cref="LayerPart.Stack"/> has.</summary>
    public (ILayerObserver? Observer, string Stack) Layers { get; init; } = (null, "");

    /// <summary>As <see cref="ModelInput.Repeats"/>.</summary>
    public bool Repeats { get; init; }

    public static AttentionContext Over(
        ModelInput input, AuxiliaryLosses? auxiliary = null, IAttentionObserver? observer = null, EncoderMemory? memory = null,
        string stack = "") => new()
    {
        Tokens = Hold(input.Tokens),
        Layers = (input.Observer, stack),
        Repeats = input.Repeats,
        Auxiliary = auxiliary,
        Observer = observer,
        Memory = memory,
        Positions = Hold(input.Positions),
        PositionLimit = input.PositionLimit ?? (int)input.Tokens.size(1),
        Documents = Hold(input.Documents) is { } ids ? new DocumentIds(ids, ids) : null,
        Lengths = input.Lengths,
        dropping = input.Dropping,
        Adapters = input.Adapters,
        Differentiated = input.Differentiated,
    };

    /// <summary>Of hidden states of patches, so many positions to a row.</summary>
    public static AttentionContext OverPatches(
        ModelInput input, int positions, AuxiliaryLosses? auxiliary = null, IAttentionObserver? observer = null) => new()
    {
        Layers = (input.Observer, ""),
        Repeats = input.Repeats,
        Auxiliary = auxiliary,
        Observer = observer,
        PositionLimit = positions,
        dropping = input.Dropping,
        Differentiated = input.Differentiated,
    };

    public static AttentionContext After(DecodingState state, Tensor tokens) => new()
    {
        Tokens = Hold(tokens),
        Offset = state.Length,
        Positions = Hold(state.Positions),
        PositionLimit = state.Length + (int)tokens.size(1),
        MaxLength = state.Capacity,
        Adapters = state.Adapters,
    };

    /// <summary>A tensor that layers share, made by the first that asks; gradients flow through it from all of them.</summary>
    public Tensor Shared(object key, Func<Tensor> make)
    {
        if (shared.TryGetValue(key, out Tensor? made)) return made;
        // With gradients even if a checkpointed block asks first, as later blocks share the tensor.
        using IDisposable recorded = enable_grad(records);
        return shared[key] = make().DetachFromDisposeScope();
    }

    /// <summary>Tensors other than a block's input and weights that gradients flow to.</summary>
    public IEnumerable<Tensor> Differentiable =>
        shared.Values.Concat(Memory is null ? [] : [Memory.Hidden]).Where(tensor => tensor.requires_grad);

    /// <summary>Shows a part's output to who wants to see it.</summary>
    public Tensor Show(Tensor output, LayerKind kind, string name, int? layer = null) =>
        Layers.Observer is { } observer ? observer.Observe(new(Layers.Stack, layer, name, kind), output) : output;

    public Tensor Drop(Tensor x, double probability, int layer, DropoutPlace place) => // (B, T, W) or (B, H, T, W)
        CounterDropout.Apply(x, Dropout(probability, layer, place));

    public CounterDropout Dropout(double probability, int layer, DropoutPlace place) => Dropping.At(8L * layer + (long)place, probability);

    /// <summary>Keeps the context alive until one more <see cref="Dispose"/>.</summary>
    public AttentionContext Lease()
    {
        Interlocked.Increment(ref leases);
        return this;
    }

    public void Dispose()
    {
        if (Interlocked.Decrement(ref leases) > 0) return;
        Tokens?.Dispose();
        Positions?.Dispose();
        Documents?.Dispose();
        Memory?.Dispose();
        foreach (Tensor tensor in shared.Values) tensor.Dispose();
    }

    // Its own handle, as the caller's may be gone by the backward pass.
    private static Tensor? Hold(Tensor? tensor) => tensor?.alias().DetachFromDisposeScope();
}

internal sealed record EncoderMemory(Tensor Hidden, DocumentIds? Documents) : IDisposable
{
    /// <summary>The adapters of the rows that were encoded, and that attend to them.</summary>
    public AdapterRows? Adapters { get; init; }

    /// <summary>Holds (B, S, C), float32, and the documents (B, S), −1 for padding; null for none.</summary>
    public static EncoderMemory Of(Tensor hidden, Tensor? documents) => new(
        hidden.alias().DetachFromDisposeScope(),
        documents is null ? null : new DocumentIds(null, documents.alias().DetachFromDisposeScope()));

    public void Dispose()
    {
        Hidden.Dispose();
        Documents?.Dispose();
    }
}

/// <summary>Losses that layers add to the cross entropy, such as a router's balance; they outlive the layers' dispose scopes.</summary>
internal sealed class AuxiliaryLosses : IDisposable
{
    private readonly List<Tensor> terms = [];

    /// <summary>Adds a scalar per token, weighted, which counts once for every target of the batch.</summary>
    public void Add(Tensor loss) => terms.Add(loss.DetachFromDisposeScope());

    public int Count => terms.Count;

    public IReadOnlyList<Tensor> TakeFrom(int index)
    {
        List<Tensor> taken = terms[index..];
        terms.RemoveRange(index, taken.Count);
        return taken;
    }

    public Tensor? Sum() => terms.Count == 0 ? null : stack([.. terms]).sum();

    public void Dispose()
    {
        foreach (Tensor term in terms) term.Dispose();
        terms.Clear();
    }
}

/// <summary>Where a layer applies dropout. The order is part of the random numbers.</summary>
internal enum DropoutPlace
{
    Embedding,
    Mixer,
    Cross,
    FeedForward,
    Weights,
    CrossWeights,
}

internal interface IAttentionObserver
{
    void Observe(int layer, bool cross, Tensor weights); // (B, H, T, S)
}
