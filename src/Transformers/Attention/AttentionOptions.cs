using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Attention.Projections;

namespace Trainer.Transformers.Attention;

/// <summary>Attention as configuration. <c>type</c> names the projection, how queries, keys and values are made;
/// pattern and kernel are chosen beside it.</summary>
/// <remarks>A new projection is a derived record in its own file and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MultiHeadOptions), "multi-head")]
[JsonDerivedType(typeof(MultiQueryOptions), "multi-query")]
[JsonDerivedType(typeof(GroupedQueryOptions), "grouped-query")]
public abstract record AttentionOptions : IValidated
{
    /// <summary>Number of query heads, H.</summary>
    [Description("Number of query heads; it must divide dim.")]
    [Range(1, 4096)]
    public required int Heads { get; init; }

    /// <summary>Which positions each position may see.</summary>
    [Description("Which positions each position may see.")]
    public PatternOptions Pattern { get; init; } = new CausalOptions();

    /// <summary>How softmax(QKᵀ)V is computed.</summary>
    [Description("How attention is computed: auto takes flash where it can run, else reference; a named kernel is required.")]
    public AttentionKernel Kernel { get; init; } = AttentionKernel.Auto;

    /// <summary>Whether each query and key head is normalised, with the model's kind of norm, before positions are applied.</summary>
    [Description("Whether each query and key head is normalised before positions are applied.")]
    public bool QueryKeyNorm { get; init; }

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>Width of one query head, D.</summary>
    internal int HeadDim(int dim) => dim / Heads;

    /// <summary>The modules which make queries, keys and values.</summary>
    internal abstract Projection BuildProjection(ModelParts parts, NormBuilder? headNorm);

    /// <summary>What decoding has to remember of each token in each layer.</summary>
    internal abstract CacheLayout CacheLayout(int dim);

    /// <summary>Weights and running costs of one attention layer.</summary>
    internal abstract PartCost Cost(ModelOptions model);
}
