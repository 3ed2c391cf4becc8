using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Norms;

/// <summary>The norms of a model, as configuration.</summary>
/// <remarks>A new kind is one file, its record and its module, and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LayerNormOptions), "layer")]
[JsonDerivedType(typeof(RmsNormOptions), "rms")]
public abstract record NormOptions : IValidated
{
    /// <summary>Where in a block the norms stand.</summary>
    [Description("Where in a block the norms stand: pre normalises what each branch reads, post the stream after each branch, sandwich what each branch reads and adds.")]
    public NormPlacement Placement { get; init; } = NormPlacement.Pre;

    /// <summary>ε, added to the variance.</summary>
    [Description("Added to the variance, so that it is never 0.")]
    [Range(0.0, 1.0)]
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>Whether a norm follows the last block: after it the stream itself is not normalised yet.</summary>
    internal bool EndsStream => Placement != NormPlacement.Post;

    /// <summary>How many norms of the stream a block has for each of its branches.</summary>
    internal int PerBranch => Placement == NormPlacement.Sandwich ? 2 : 1;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>Weights and running costs of one norm over <paramref name="width"/> numbers.</summary>
    internal abstract PartCost Cost(long width, bool bias);

    /// <summary>A norm over the last dimension, of the given width.</summary>
    /// <param name="width">Of the last dimension.</param>
    /// <param name="bias">Whether a kind that has one has a bias.</param>
    /// <param name="readRounded">Whether those who read it round it.</param>
    internal abstract Norm Build(int width, bool bias, bool readRounded = false);
}
