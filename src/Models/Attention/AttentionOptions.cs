using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Models.Attention;

/// <summary>Attention as configuration. <c>type</c> names the projection, how queries, keys and values are made;
/// pattern and kernel are chosen beside it.</summary>
/// <remarks>A new projection is a derived record in its own file and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MultiHeadOptions), "multi-head")]
[JsonDerivedType(typeof(MultiQueryOptions), "multi-query")]
[JsonDerivedType(typeof(GroupedQueryOptions), "grouped-query")]
[JsonDerivedType(typeof(LatentOptions), "latent")]
public abstract record AttentionOptions : IValidated
{
    /// <summary>Number of query heads, H.</summary>
    [Description("Number of query heads; it must divide dim.")]
    [Range(1, 4096)]
    public required int Heads { get; init; }

    /// <summary>Which positions each position may see; null for causal in a decoder and full in an encoder.</summary>
    [Description("Which positions each position may see; by default causal in a decoder and full in an encoder.")]
    public PatternOptions? Pattern { get; init; }

    /// <summary>How softmax(QKᵀ)V is computed.</summary>
    [Description("How attention is computed: auto takes flash where it can run, for sparse patterns block-sparse, else reference; a named kernel is required. linear is another function than softmax attention.")]
    public AttentionKernel Kernel { get; init; } = AttentionKernel.Auto;

    /// <summary>Whether each query and key head is normalised, with the model's kind of norm, before positions are applied.</summary>
    [Description("Whether each query and key head is normalised before positions are applied.")]
    public bool QueryKeyNorm { get; init; }

    /// <summary>The factor on QKᵀ; null for 1/√D, of the width of a head. T5 has 1.</summary>
    [Description("The factor on the scores of queries and keys; by default 1/√(width of a head). T5: 1.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double? Scale { get; init; }

    /// <summary>Bounds scores s to cap·tanh(s / cap) (Gemma 2: 50); null for no bound.</summary>
    [Description("Bounds the scores of queries and keys to ± this, by tanh (Gemma 2: 50).")]
    [Range(0.0, 1e6, MinimumIsExclusive = true)]
    public double? SoftCap { get; init; }

    /// <summary>Whether the queries of a sequence to itself are multiplied by s·ln n, n being the keys each sees and s learned for each head, so that
    /// attention does not flatten as sequences grow (Nakanishi 2025, arXiv 2501.19399).</summary>
    [Description("Whether queries are multiplied by s·ln(keys they see), s learned for each head, in attention of a sequence to itself.")]
    public bool ScalableSoftmax { get; init; }

    /// <summary>How the queries of a sequence to itself grow with their position; null for not at all.</summary>
    [Description("How queries grow with their position in attention of a sequence to itself (Llama 4).")]
    public TemperatureOptions? Temperature { get; init; }

    /// <summary>Whether queries, keys and values have biases; null for the model's choice. Qwen 2 has them only here.</summary>
    [Description("Whether queries, keys and values have biases; by default the model's bias. Qwen 2 has them only here.")]
    public bool? Bias { get; init; }

    /// <summary>Whether the matrix after the heads has a bias; null for the model's choice.</summary>
    [Description("Whether the output matrix has a bias; by default the model's bias.")]
    public bool? OutputBias { get; init; }

    /// <summary>What decoding remembers of keys and values.</summary>
    [Description("What decoding remembers: auto takes rolling where the pattern is a sliding window, else contiguous; paged shares common beginnings.")]
    public AttentionCache Cache { get; init; } = AttentionCache.Auto;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>The name in a configuration.</summary>
    internal string Type => Registered.Name(typeof(AttentionOptions), GetType());

    /// <summary>The pattern, once a layer has resolved it.</summary>
    internal PatternOptions ResolvedPattern =>
        Pattern ?? throw new InvalidOperationException("The pattern is resolved by ModelOptions.Layer; these options are not a layer's.");

    /// <summary>Width of the heads a kernel is given, D.</summary>
    internal abstract int HeadWidth(int dim);

    /// <summary>Width of the part of a head that positions turn.</summary>
    internal virtual int TurnedWidth(int dim) => HeadWidth(dim);

    /// <summary>The factor on QKᵀ.</summary>
    internal virtual double ScoreScale(int dim) => Scale ?? 1 / Math.Sqrt(HeadWidth(dim));

    /// <summary>What cannot be built in a model of this width, with paths relative to this record.</summary>
    internal abstract IEnumerable<Problem> Against(int dim);

    /// <summary>The modules which make queries, keys and values.</summary>
    internal abstract Projection BuildProjection(ModelParts parts, NormBuilder? headNorm);

    /// <summary>The modules which make queries from the stream, and keys and values from an encoder's output.</summary>
    internal abstract CrossProjection BuildCrossProjection(ModelParts parts, NormBuilder? headNorm);

    /// <summary>These options for attention to an encoder's output.</summary>
    internal virtual AttentionOptions ToEncoder(int dim) => this;

    /// <summary>What decoding has to remember of each token in each layer.</summary>
    internal abstract CacheLayout CacheLayout(int dim);

    /// <summary>Weights and running costs of one attention layer.</summary>
    internal abstract PartCost Cost(ModelOptions model);

    /// <summary>Weights and running costs of one layer of attention to an encoder's output.</summary>
    internal abstract PartCost CrossCost(ModelOptions model);
}
