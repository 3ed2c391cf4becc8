using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.FeedForward.Experts;

namespace Trainer.Models.FeedForward;

/// <summary>The feed-forward layer of a block, as configuration.</summary>
/// <remarks>A new kind is one file, its record, with an activation or a module of its own, and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ReluOptions), "relu")]
[JsonDerivedType(typeof(GeluOptions), "gelu")]
[JsonDerivedType(typeof(GeluTanhOptions), "gelu-tanh")]
[JsonDerivedType(typeof(SiluOptions), "silu")]
[JsonDerivedType(typeof(SquaredReluOptions), "relu2")]
[JsonDerivedType(typeof(GluOptions), "glu")]
[JsonDerivedType(typeof(ReGluOptions), "reglu")]
[JsonDerivedType(typeof(GeGluOptions), "geglu")]
[JsonDerivedType(typeof(GeGluTanhOptions), "geglu-tanh")]
[JsonDerivedType(typeof(SwiGluOptions), "swiglu")]
[JsonDerivedType(typeof(ExpertsOptions), "experts")]
public abstract record FeedForwardOptions : IValidated
{
    /// <summary>Width of the hidden layer; null takes the default of the kind.</summary>
    [Description("Width of the hidden layer; by default 4·dim, for gated kinds 8/3·dim rounded up to a multiple of 32.")]
    [Range(1, 1_048_576)]
    public int? HiddenDim { get; init; }

    /// <summary>Whether the linear layers have biases; null takes the model's choice.</summary>
    [Description("Whether the linear layers have biases; by default the model's choice.")]
    public bool? Bias { get; init; }

    /// <summary>Whether the layer reads its input by nothing but a matrix product, which rounds it.</summary>
    internal virtual bool ReadsRounded => false;

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
