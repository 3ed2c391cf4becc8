using System.ComponentModel;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Transformers.Norms;

/// <summary>The norms of a model, as configuration.</summary>
/// <remarks>A new kind is one file, its record and its module, and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LayerNormOptions), "layer")]
[JsonDerivedType(typeof(RmsNormOptions), "rms")]
public abstract record NormOptions : IValidated
{
    /// <summary>Where in a block the norms stand.</summary>
    [Description("Where in a block the norms stand: pre normalises what each branch reads.")]
    public NormPlacement Placement { get; init; } = NormPlacement.Pre;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>Weights and running costs of one norm over <paramref name="width"/> numbers.</summary>
    internal abstract PartCost Cost(long width, bool bias);

    /// <summary>A norm over the last dimension, of the given width.</summary>
    internal abstract Norm Build(int width, bool bias);
}
