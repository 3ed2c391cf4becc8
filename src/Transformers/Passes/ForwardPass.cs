// Shapes: B batch, T positions, S positions of the memory, C model dimension.
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>What all layers of a stack share during one call: where the tokens stand, which documents they belong to, what an encoder made,
/// and who listens.</summary>
internal sealed class ForwardPass : IDisposable
{
    private DocumentIds? documents;

    /// <summary>Position of the first token.</summary>
    public int Offset { get; init; }

    /// <summary>The position of each token (B, T); null where they follow one another from <see cref="Offset"/>.</summary>
    public Tensor? Positions { get; init; }

    /// <summary>A bound that all positions are below.</summary>
    public required int Reach { get; init; }

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
    public static ForwardPass After(int remembered, Tensor tokens) => new() { Offset = remembered, Reach = remembered + (int)tokens.size(1) };

    /// <summary>Frees the masks that were made.</summary>
    public void Dispose() => documents?.Dispose();
}

/// <summary>What an encoder made of the source.</summary>
/// <param name="Hidden">(B, S, C), float32.</param>
/// <param name="Documents">Which of it is padding; null where nothing is.</param>
internal sealed record EncoderMemory(Tensor Hidden, DocumentIds? Documents) : IDisposable
{
    /// <summary>Frees the masks that were made.</summary>
    public void Dispose() => Documents?.Dispose();
}
