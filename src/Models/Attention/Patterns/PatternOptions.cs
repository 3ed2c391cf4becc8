using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Which positions each position may see, as configuration.</summary>
/// <remarks>A new pattern is one file, its record and its <see cref="AttentionPattern"/>, and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(FullOptions), "full")]
[JsonDerivedType(typeof(CausalOptions), "causal")]
[JsonDerivedType(typeof(PrefixOptions), "prefix")]
[JsonDerivedType(typeof(SlidingOptions), "sliding")]
[JsonDerivedType(typeof(StridedOptions), "strided")]
[JsonDerivedType(typeof(FixedOptions), "fixed")]
[JsonDerivedType(typeof(LongformerOptions), "longformer")]
[JsonDerivedType(typeof(BigBirdOptions), "bigbird")]
public abstract record PatternOptions : IValidated
{
    /// <summary>The name in a configuration.</summary>
    internal string Type => Registered.Name(typeof(PatternOptions), GetType());

    /// <summary>Whether no position sees a later one, which decoding token by token needs.</summary>
    internal abstract bool IsCausal { get; }

    /// <summary>How many of the first positions see each other, before those behind them see what is before them only: 1 where no position
    /// sees a later one, null where any may.</summary>
    internal virtual int? Prefix => IsCausal ? 1 : null;

    /// <summary>How far back is seen; null where a position may see any earlier one again.</summary>
    internal virtual Horizon? Horizon => null;

    /// <summary>About how many keys a position sees in a sequence of so many; all of them where the pattern leaves none out on purpose, as PaLM's
    /// convention counts causal attention.</summary>
    internal virtual long VisibleKeys(int length) => length;

    /// <summary>What to do where no position may see a later one.</summary>
    internal virtual string CausalInstead => "use 'causal'";

    /// <summary>What to do where positions should see later ones.</summary>
    internal virtual string FullInstead => "use 'full'";

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    /// <summary>The pattern itself.</summary>
    internal abstract AttentionPattern Build();
}
