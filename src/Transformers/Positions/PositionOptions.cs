using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Transformers.Positions;

/// <summary>How the order of tokens enters the model, as configuration.</summary>
/// <remarks>A new encoding is one file, its record and its <see cref="PositionEncoding"/>, and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(NoPositionOptions), "none")]
[JsonDerivedType(typeof(SinusoidalOptions), "sinusoidal")]
[JsonDerivedType(typeof(LearnedOptions), "learned")]
[JsonDerivedType(typeof(RotaryOptions), "rotary")]
public abstract record PositionOptions : IValidated
{
    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>Rules between this encoding and the rest of the model, with paths relative to this record.</summary>
    internal virtual IEnumerable<Problem> Against(ModelOptions model) => [];

    /// <summary>Whether queries and keys are turned.</summary>
    internal virtual bool RotatesHeads => false;

    /// <summary>Learned numbers, once for the whole model.</summary>
    internal virtual long Parameters(ModelOptions model) => 0;

    /// <summary>The encoding itself, one for the whole model.</summary>
    internal abstract PositionEncoding Build(ModelOptions model);
}
