using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Transformers.FeedForward;

/// <summary>The feed-forward layer of a block, as configuration.</summary>
/// <remarks>A new kind is one file, its record and its module, and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(GeluOptions), "gelu")]
[JsonDerivedType(typeof(SwiGluOptions), "swiglu")]
public abstract record FeedForwardOptions : IValidated
{
    /// <summary>Width of the hidden layer; null takes the default of the kind.</summary>
    [Description("Width of the hidden layer; by default 4·dim, for gated kinds 8/3·dim rounded up to a multiple of 32.")]
    [Range(1, 1_048_576)]
    public int? HiddenDim { get; init; }

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>Width of the hidden layer in a model of width <paramref name="dim"/>.</summary>
    internal int Width(int dim) => HiddenDim ?? DefaultWidth(dim);

    /// <summary>The width when none is given.</summary>
    internal abstract int DefaultWidth(int dim);

    /// <summary>Weights and running costs of one layer.</summary>
    internal abstract PartCost Cost(ModelOptions model);

    /// <summary>The module.</summary>
    internal abstract FeedForwardModule Build(ModelParts parts);
}
