using Trainer.Models.Adapters;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Models;

/// <summary>What a model costs, computed from its options alone.</summary>
public sealed record ModelCost
{
    private const int Float32Bytes = 4;

    /// <summary>Learned numbers by component, each counted once.</summary>
    public required IReadOnlyList<ComponentParameters> Components { get; init; }

    /// <summary>All learned numbers, exactly those of the built model.</summary>
    public long Parameters => Components.Sum(component => component.Parameters);

    /// <summary>Learned numbers that one token uses: all but the experts it is not routed to.</summary>
    public long ActiveParameters => Parameters - IdleParameters;

    /// <summary>Learned numbers that a token does not use, over all layers.</summary>
    public required long IdleParameters { get; init; }

    /// <summary>Numbers every token is multiplied with, N: all matrices, of active experts only, and the head even if tied.</summary>
    public required long MatrixParameters { get; init; }

    /// <summary>Operations of one token in recurrences, forward, over all layers.</summary>
    public required long FlopsPerToken { get; init; }

    internal long FlopsPerTokenAndKey => Attentions.Sum(attention => attention.FlopsPerKey);

    internal IReadOnlyList<(long FlopsPerKey, PatternOptions Pattern)> Attentions { get; init; } = [];

    internal IReadOnlyList<LayerMemory> Memories { get; init; } = [];

    internal long CacheNumbersPerToken => Memories.Where(memory => memory.MostTokens is null).Sum(memory => memory.NumbersPerToken);

    /// <summary>The cost of a valid model with this many token ids, V.</summary>
    public static ModelCost Of(ModelOptions model, int vocabularySize) => ModelCosting.Of(model, vocabularySize);

    /// <summary>Operations of one token, forward: 2·N + 4·H·D·S in each layer, and those of recurrences; S is the number of keys the
    /// pattern shows of the T positions.</summary>
    /// <remarks>The convention of PaLM, appendix B (Chowdhery et al. 2022, arXiv 2204.02311): attention is not halved for causality; norms,
    /// activations and softmax are not counted.</remarks>
    public double ForwardFlopsPerToken(int length) => 2.0 * MatrixParameters + FlopsPerToken
        + Attentions.Sum(attention => (double)attention.FlopsPerKey * attention.Pattern.VisibleKeys(length));

    /// <summary>Operations of one token, forward and backward: three times the forward ones.</summary>
    public double TrainingFlopsPerToken(int length) => 3 * ForwardFlopsPerToken(length);

    /// <summary>As <see cref="TrainingFlopsPerToken(int)"/> where adapters are trained: the gradients of weights that stay are not
    /// computed, 2 operations of 6, and those of what flows through them are.</summary>
    public double TrainingFlopsPerToken(int length, AdapterCost adapter, bool tied) => TrainingFlopsPerToken(length)
        - 2.0 * (MatrixParameters - adapter.TrainedMatrices(tied)) + 6.0 * adapter.Active;

    /// <summary>Bytes a decoding cache grows by with each token: 4 a number in float32, and always on the CPU; 2 in bfloat16.</summary>
    public long CacheBytesPerToken(int bytesPerNumber = Float32Bytes) => CacheNumbersPerToken * bytesPerNumber;

    /// <summary>Bytes that decoding one sequence takes, with room for <paramref name="positions"/>.</summary>
    public long CacheBytes(int positions, int bytesPerNumber = Float32Bytes) =>
        Memories.Sum(memory => memory.Bytes(positions, bytesPerNumber));

    /// <summary>Bytes for each decoded sequence that do not grow with the text: the states of recurrences.</summary>
    public long RecurrentStateBytes => Memories.Sum(memory => memory.ConstantBytes);
}

/// <summary>Learned numbers of one component over all layers: embedding, position, attention, feedForward, norms or head.</summary>
public sealed record ComponentParameters(string Name, long Parameters);

/// <summary>What one layer caches of each sequence it decodes; <c>MostTokens</c> is null if it caches all.</summary>
internal readonly record struct LayerMemory(long NumbersPerToken, int? MostTokens = null, long ConstantBytes = 0)
{
    public long Bytes(int positions, int bytesPerNumber) =>
        ConstantBytes + NumbersPerToken * bytesPerNumber * Math.Min(positions, MostTokens ?? positions);
}
