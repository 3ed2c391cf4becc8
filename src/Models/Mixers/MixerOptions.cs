using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Mixers;

/// <summary>The part of a block in which positions exchange information, as configuration.</summary>
/// <remarks>A new mixer is a derived record, its <see cref="Mixer"/>, and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AttentionMixerOptions), "attention")]
[JsonDerivedType(typeof(Mamba2Options), "mamba2")]
public abstract record MixerOptions : IValidated
{
    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>The name in a configuration.</summary>
    internal string Type => Registered.Name(typeof(MixerOptions), GetType());

    /// <summary>Whether it is made of the layer's attention and position; otherwise those mean nothing to it.</summary>
    internal abstract bool Attends { get; }

    /// <summary>Whether it can only look back.</summary>
    internal abstract bool OnlyLooksBack { get; }

    /// <summary>What its parameters are called in a report.</summary>
    internal abstract string Component { get; }

    /// <summary>What cannot be built in this model, with paths relative to this record.</summary>
    internal virtual IEnumerable<Problem> Against(ModelOptions model) => [];

    /// <summary>Weights and running costs of one layer.</summary>
    internal abstract PartCost Cost(ModelOptions model, LayerOptions layer);

    /// <summary>What decoding remembers in one layer.</summary>
    internal abstract LayerMemory Memory(ModelOptions model, LayerOptions layer);

    /// <summary>The module.</summary>
    internal abstract Mixer Build(ModelParts parts, LayerOptions layer);
}
