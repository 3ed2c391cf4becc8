using Trainer.Models.Attention.Patterns;

namespace Trainer.Models;

/// <summary>What a model costs, computed from its options alone.</summary>
public sealed record ModelCost
{
    private const int Float32Bytes = 4;

    /// <summary>Learned numbers by component, each counted once; they add up to <see cref="Parameters"/>.</summary>
    public required IReadOnlyList<ComponentParameters> Components { get; init; }

    /// <summary>All learned numbers; exactly those of the built model.</summary>
    public long Parameters => Components.Sum(component => component.Parameters);

    /// <summary>Those of them that one token uses: all but the experts it is not given to.</summary>
    public long ActiveParameters => Parameters - IdleParameters;

    /// <summary>Learned numbers that a token does not use, over all layers.</summary>
    public required long IdleParameters { get; init; }

    /// <summary>The learned numbers every token is multiplied with, N: all matrices, of experts those of the active ones, and the head,
    /// tied or not. Looking a row up in a table of embeddings costs no multiplication.</summary>
    public required long MatrixParameters { get; init; }

    /// <summary>Operations of one token in recurrences, forward, in all layers.</summary>
    public required long FlopsPerToken { get; init; }

    /// <summary>Operations of one token for each key it sees, forward, in all layers: 4·L·H·D.</summary>
    internal long FlopsPerTokenAndKey => Attentions.Sum(attention => attention.FlopsPerKey);

    /// <summary>The attention layers: operations of one token for each key, and which keys it sees.</summary>
    internal IReadOnlyList<(long FlopsPerKey, PatternOptions Pattern)> Attentions { get; init; } = [];

    /// <summary>What each layer remembers while decoding.</summary>
    internal IReadOnlyList<LayerMemory> Memories { get; init; } = [];

    /// <summary>Numbers remembered of each token while decoding, in the layers whose memory grows with the text.</summary>
    internal long CacheNumbersPerToken => Memories.Where(memory => memory.MostTokens is null).Sum(memory => memory.NumbersPerToken);

    /// <summary>What a model costs.</summary>
    /// <param name="model">Its options, valid.</param>
    /// <param name="vocabularySize">Number of token ids, V.</param>
    public static ModelCost Of(ModelOptions model, int vocabularySize) => ModelCosting.Of(model, vocabularySize);

    /// <summary>Floating-point operations of one token, forward: 2·N + 4·H·D·S in each layer, and those of recurrences. S are the keys that
    /// a pattern shows: all T, or those of a window, a block, a stride.</summary>
    /// <remarks>The convention of PaLM, appendix B (Chowdhery et al. 2022, arXiv 2204.02311): a multiplication and an addition
    /// for each matrix weight; queries with keys and weights with values over all S positions, not halved for
    /// causal attention; norms, activations and softmax not counted.</remarks>
    /// <param name="length">Positions of the sequence, T.</param>
    public double ForwardFlopsPerToken(int length) => 2.0 * MatrixParameters + FlopsPerToken
        + Attentions.Sum(attention => (double)attention.FlopsPerKey * attention.Pattern.VisibleKeys(length));

    /// <summary>Floating-point operations of one token, forward and backward: three times the forward ones.</summary>
    /// <param name="length">Positions of the sequence, T.</param>
    public double TrainingFlopsPerToken(int length) => 3 * ForwardFlopsPerToken(length);

    /// <summary>Bytes a decoding cache grows by with each token.</summary>
    /// <param name="bytesPerNumber">4 in float32, and always on the CPU; 2 in bfloat16.</param>
    public long CacheBytesPerToken(int bytesPerNumber = Float32Bytes) => CacheNumbersPerToken * bytesPerNumber;

    /// <summary>Bytes that decoding one sequence takes, with room for so many positions.</summary>
    /// <param name="positions">Positions, T.</param>
    /// <param name="bytesPerNumber">As in <see cref="CacheBytesPerToken"/>.</param>
    public long CacheBytes(int positions, int bytesPerNumber = Float32Bytes) =>
        Memories.Sum(memory => memory.Bytes(positions, bytesPerNumber));

    /// <summary>Bytes that do not grow with the text, for each sequence that is decoded: the states of recurrences.</summary>
    public long RecurrentStateBytes => Memories.Sum(memory => memory.ConstantBytes);
}
