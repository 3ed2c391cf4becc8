// Shapes: B batch, T positions, S positions of the memory, C model dimension.
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What all layers of a stack share during one call: where the tokens stand, which documents they belong to, what an encoder made,
/// and who listens.</summary>
/// <remarks>It owns what it is given but the listeners: blocks that the backward pass runs again need it until then. Each of them has a lease on it, and the last one
/// that is given up frees everything.</remarks>
internal sealed class ForwardPass : IDisposable
{
    private readonly Dictionary<object, Tensor> shared = [];
    private DocumentIds? documents;
    private int? horizon;
    private DropoutKey? dropping;
    private readonly bool records = is_grad_enabled();
    private int leases = 1;

    /// <summary>Position of the first token.</summary>
    public int Offset { get; init; }

    /// <summary>The position of each token (B, T); null where they follow one another from <see cref="Offset"/>.</summary>
    public Tensor? Positions { get; init; }

    /// <summary>The position of each token (B, T) where distances between tokens are not those of their columns; null where they are, as in
    /// documents packed into a row.</summary>
    public Tensor? SkippingPositions => Documents is null || Reach > Positions?.size(1) ? Positions : null;

    /// <summary>A bound that all positions are below.</summary>
    public required int Reach { get; init; }

    /// <summary>Positions the sequence can come to in all its calls: what decoding has made room for, or else one more than the last.</summary>
    /// <remarks>Where tokens have positions of their own, finding the last waits for the device.</remarks>
    public int Horizon
    {
        get => horizon ??= Positions is null ? Reach : (int)Positions.max().item<long>() + 1;
        init => horizon = value;
    }

    /// <summary>Which tokens belong together; null where all of a row do.</summary>
    public DocumentIds? Documents
    {
        get => documents;
        init => documents = value;
    }

    /// <summary>What the encoder made of the source; null where there is none, or where a state remembers it.</summary>
    public EncoderMemory? Memory { get; init; }

    /// <summary>Collects what layers want added to the objective; null outside training.</summary>
    public AuxiliaryLosses? Auxiliary { get; init; }

    /// <summary>What decides which numbers layers drop while training.</summary>
    public DropoutKey Dropping => dropping ??= DropoutKey.Draw();

    /// <summary>Told the attention weights of every layer; null where nobody asks.</summary>
    public IAttentionObserver? Observer { get; init; }

    /// <summary>A pass over a whole input.</summary>
    public static ForwardPass Over(
        ModelInput input, AuxiliaryLosses? auxiliary = null, IAttentionObserver? observer = null, EncoderMemory? memory = null) => new()
    {
        Auxiliary = auxiliary,
        Observer = observer,
        Memory = memory,
        Positions = Hold(input.Positions),
        Reach = input.PositionLimit ?? (int)input.Tokens.size(1),
        Documents = Hold(input.Documents) is { } ids ? new DocumentIds(ids, ids) : null,
        dropping = input.Dropping,
    };

    /// <summary>A pass over further tokens of sequences of which some are remembered.</summary>
    public static ForwardPass After(DecodingState state, Tensor tokens) =>
        new() { Offset = state.Length, Reach = state.Length + (int)tokens.size(1), Horizon = state.Capacity };

    /// <summary>A tensor that layers have in common: the first that asks makes it.</summary>
    /// <param name="key">What tells it from others, by value.</param>
    /// <param name="make">Makes it; gradients flow through it from every layer.</param>
    public Tensor Shared(object key, Func<Tensor> make)
    {
        if (shared.TryGetValue(key, out Tensor? made)) return made;
        // Recorded even where a checkpointed block is the first to ask: the blocks after it share the record.
        using IDisposable recorded = enable_grad(records);
        return shared[key] = make().DetachFromDisposeScope();
    }

    /// <summary>What blocks read beside their input and weights that gradients flow to.</summary>
    public IEnumerable<Tensor> Differentiable => shared.Values.Concat(Memory is null ? [] : [Memory.Hidden]).Where(tensor => tensor.requires_grad);

    /// <summary>Drops some of what a layer makes.</summary>
    /// <param name="x">(B, T, W) or (B, H, T, W)</param>
    /// <param name="probability">Of dropping a number; more than 0.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="place">What is dropped.</param>
    public Tensor Drop(Tensor x, double probability, int layer, DropoutPlace place) => CounterDropout.Apply(x, Dropout(probability, layer, place));

    /// <summary>Which numbers are dropped.</summary>
    /// <inheritdoc cref="Drop"/>
    public CounterDropout Dropout(double probability, int layer, DropoutPlace place) => Dropping.At(8L * layer + (long)place, probability);

    /// <summary>Lets the pass last until it has been disposed of once more.</summary>
    public ForwardPass Lease()
    {
        Interlocked.Increment(ref leases);
        return this;
    }

    /// <summary>Gives a lease up; the last one frees the ids, the memory, the masks and the shared tensors that were made.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref leases) > 0) return;
        Positions?.Dispose();
        Documents?.Dispose();
        Memory?.Dispose();
        foreach (Tensor tensor in shared.Values) tensor.Dispose();
    }

    // Another handle: the caller's may be gone when the backward pass comes.
    private static Tensor? Hold(Tensor? tensor) => tensor?.alias().DetachFromDisposeScope();
}

/// <summary>What an encoder made of the source.</summary>
/// <param name="Hidden">(B, S, C), float32.</param>
/// <param name="Documents">Which of it is padding; null where nothing is.</param>
/// <remarks>Owns both.</remarks>
internal sealed record EncoderMemory(Tensor Hidden, DocumentIds? Documents) : IDisposable
{
    /// <summary>What an encoder made.</summary>
    /// <param name="hidden">(B, S, C), float32.</param>
    /// <param name="documents">(B, S), −1 where it is padding; null where nothing is.</param>
    public static EncoderMemory Of(Tensor hidden, Tensor? documents) => new(
        hidden.alias().DetachFromDisposeScope(),
        documents is null ? null : new DocumentIds(null, documents.alias().DetachFromDisposeScope()));

    /// <inheritdoc/>
    public void Dispose()
    {
        Hidden.Dispose();
        Documents?.Dispose();
    }
}
