using System.Text.Json.Serialization;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>What keeps the router from giving all tokens to a few experts.</summary>
/// <remarks>A new kind is one file and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LossBalanceOptions), "loss")]
[JsonDerivedType(typeof(BiasBalanceOptions), "bias")]
[JsonDerivedType(typeof(NoBalanceOptions), "none")]
public abstract record BalanceOptions;
