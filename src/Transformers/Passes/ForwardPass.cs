// Shapes: B batch, T positions, S positions of the memory, C model dimension.
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>What all layers of a stack share during one call: where the tokens stand, which documents they belong to, what an encoder made,
/// and who listens.</summary>
internal sealed class ForwardPass : IDisposable
{
    private readonly Dictionary<object, Tensor> shared = [];
    private DocumentIds? documents;
    private int? horizon;

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

    /// <summary>Told the attention weights of every layer; null where nobody asks.</summary>
    public IAttentionObserver? Observer { get; init; }

    /// <summary>A pass over a whole input.</summary>
    public static ForwardPass Over(
        ModelInput input, AuxiliaryLosses? auxiliary = null, IAttentionObserver? observer = null, EncoderMemory? memory = null) => new()
    {
        Auxiliary = auxiliary,
        Observer = observer,
        Memory = memory,
        Positions = input.Positions,
        Reach = input.PositionLimit ?? (int)input.Tokens.size(1),
        Documents = input.Documents is { } ids ? new DocumentIds(ids, ids) : null,
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
        return shared[key] = make().DetachFromDisposeScope();
    }

    /// <summary>Frees the masks and the shared tensors that were made.</summary>
    public void Dispose()
    {
        documents?.Dispose();
        foreach (Tensor tensor in shared.Values) tensor.Dispose();
    }
}

/// <summary>What an encoder made of the source.</summary>
/// <param name="Hidden">(B, S, C), float32.</param>
/// <param name="Documents">Which of it is padding; null where nothing is.</param>
internal sealed record EncoderMemory(Tensor Hidden, DocumentIds? Documents) : IDisposable
{
    /// <summary>Frees the masks that were made.</summary>
    public void Dispose() => Documents?.Dispose();
}
