using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention;

namespace Trainer.Models.Positions;

/// <summary>How the order of tokens enters the model, as configuration.</summary>
/// <remarks>A new encoding is one file, its record and its <see cref="PositionEncoding"/>, and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(NoPositionOptions), "none")]
[JsonDerivedType(typeof(SinusoidalOptions), "sinusoidal")]
[JsonDerivedType(typeof(LearnedOptions), "learned")]
[JsonDerivedType(typeof(RotaryOptions), "rotary")]
[JsonDerivedType(typeof(AlibiOptions), "alibi")]
[JsonDerivedType(typeof(T5BiasOptions), "t5")]
public abstract record PositionOptions : IValidated
{
    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>Rules of the records within this one, with paths relative to it. A configuration's loader asks them itself.</summary>
    internal virtual IEnumerable<Problem> ValidateParts() => [];

    /// <summary>The name in a configuration.</summary>
    internal string Type => Registered.Name(typeof(PositionOptions), GetType());

    /// <summary>Rules between this encoding and the layers that use it, with paths relative to this record.</summary>
    internal virtual IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention) => [];

    /// <summary>Whether positions are added to the embeddings, which all layers share.</summary>
    internal virtual bool EntersEmbedding => false;

    /// <summary>Whether something is added to the scores of queries and keys.</summary>
    internal virtual bool AddsBias => false;

    /// <summary>The factor on all scores; 1 for none.</summary>
    internal virtual double ScoreFactor(ModelOptions model) => 1;

    /// <summary>Learned numbers of one stack.</summary>
    internal virtual long Parameters(ModelOptions model) => 0;

    /// <summary>The encoding itself, one for all layers of a stack with equal attention heads.</summary>
    internal abstract PositionEncoding Build(ModelParts parts, AttentionOptions attention);
}
