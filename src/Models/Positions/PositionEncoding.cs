// Shapes: B batch, T positions, S key positions, H heads, D head dimension, C model dimension.
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>How positions enter the model. A new encoding is one file and one <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
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

    /// <summary>Rules of nested records, with paths relative to this one; the loader of configurations applies them itself.</summary>
    internal virtual IEnumerable<Problem> ValidateParts() => [];

    internal string Type => Registered.Name(typeof(PositionOptions), GetType());

    /// <summary>Rules between this encoding and the layers that use it, with paths relative to this record.</summary>
    internal virtual IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention) => [];

    internal virtual bool EntersEmbedding => false;

    internal virtual bool AddsBias => false;

    internal virtual double ScoreFactor(ModelOptions model) => 1;

    internal virtual long Parameters(ModelOptions model) => 0;

    internal abstract PositionEncoding Build(StackContext stack, AttentionOptions attention);
}

internal abstract class PositionEncoding(string name) : nn.Module(name)
{
    public virtual int? Limit => null;

    public virtual bool RotatesHeads => false;

    public virtual bool AddsBias => false;

    /// <summary>A factor on all scores, besides the attention's own.</summary>
    public virtual double ScoreFactor => 1;

    public virtual Tensor Embed(Tensor x, AttentionContext context) => x; // (B, T, C)

    /// <summary>Rotates queries or keys (B, T, H, D).</summary>
    public virtual Tensor Rotate(Tensor heads, AttentionContext context) => heads;

    /// <summary>The angles of <see cref="Rotate"/>, for kernels that rotate themselves; null if nothing is rotated.</summary>
    public virtual RotaryAngles? Angles(AttentionContext context, int count, Device device) => null;

    /// <summary>The bias on scaled scores, (1, H, T, S), or (B, H, T, S) if positions skip or with rows; null for none.</summary>
    /// <remarks>Columns stand for positions, even in packed documents, but for <see cref="AttentionContext.SkippingPositions"/> and
    /// rows.</remarks>
    public virtual Tensor? Bias(
        Tensor query, AttentionContext context, PositionSpan queries, PositionSpan keys, RowPositions? rows = null) => null;
}

/// <summary>No positions: a causal decoder infers order from what each token sees (Kazemnejad et al. 2023, arXiv 2305.19466).</summary>
public sealed record NoPositionOptions : PositionOptions
{
    internal override PositionEncoding Build(StackContext stack, AttentionOptions attention) => new NoPositions();
}

internal sealed class NoPositions() : PositionEncoding(nameof(NoPositions))
{
}
