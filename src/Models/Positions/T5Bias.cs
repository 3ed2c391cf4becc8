// Shapes: T query positions, S key positions, H heads, K buckets.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>T5's relative bias: learned for each head and bucket of distances, near ones with a bucket each, far ones in logarithmic steps
/// (Raffel et al. 2019, arXiv 1910.10683, §2.1).</summary>
/// <remarks>One table for all layers; a decoder's buckets reach back only. T5 has no 1/√D: set the attention's <c>scale</c> to 1.</remarks>
public sealed record T5BiasOptions : PositionOptions
{
    /// <summary>Number of buckets, K.</summary>
    [Description("Number of buckets; even.")]
    [Range(4, 65536)]
    public int Buckets { get; init; } = 32;

    /// <summary>The distance from which on all share the last bucket.</summary>
    [Description("The distance from which on all share the last bucket.")]
    [Range(2, 16_777_216)]
    public int MaxDistance { get; init; } = 128;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Buckets % 2 != 0)
            yield return new("buckets", $"buckets ({Buckets}) are halved between near and far distances; use {Buckets + 1}");
        if (MaxDistance <= Buckets / 2)
            yield return new(
                "maxDistance",
                $"maxDistance ({MaxDistance}) leaves no far distances: half of the buckets ({Buckets}) hold one distance each; " +
                $"use more than {Buckets / 2}");
    }

    internal override bool AddsBias => true;

    internal override IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention)
    {
        if (attention.Heads != model.Attention.Heads)
            yield return new(
                "",
                $"type 't5' has one table for all layers, with a column for each of {model.Attention.Heads} heads, and these layers " +
                $"have {attention.Heads}; give them as many heads, or set their position to 'none'");
    }

    internal override long Parameters(ModelOptions model) => (long)Buckets * model.Attention.Heads;

    internal override PositionEncoding Build(StackContext stack, AttentionOptions attention) =>
        new T5Positions(this, attention.Heads, stack.Causal);
}

internal sealed class T5Positions : PositionEncoding
{
    private readonly Parameter weight;
    private readonly SpanTables tables;
    private readonly T5BiasOptions options;
    private readonly bool causal;

    public T5Positions(T5BiasOptions options, int heads, bool causal)
        : base(nameof(T5Positions))
    {
        weight = new Parameter(empty(options.Buckets, heads));
        (this.options, this.causal) = (options, causal);
        tables = new((queries, keys, device) => Buckets(options, causal, queries.Positions(device).unsqueeze(1), keys.Positions(device)));
        RegisterComponents();
    }

    public override bool AddsBias => true;

    public Parameter Weight => weight; // (K, H)

    // Layers that see the same keys share the bias: one lookup, and one gradient.
    public override Tensor? Bias(
        Tensor query, AttentionContext context, PositionSpan queries, PositionSpan keys, RowPositions? rows = null) =>
        context.Shared((this, queries, keys, rows?.Window), () =>
        {
            Tensor buckets = rows is not null
                ? Buckets(options, causal, rows.Queries, rows.Keys) // (B, 1, S)
                : context.SkippingPositions is { } positions
                ? Buckets(options, causal, positions.unsqueeze(2), positions.unsqueeze(1)) // (B, T, T)
                : tables.Get(queries, keys, query.device).unsqueeze(0); // (1, T, S)
            return Functional.Embedding(buckets, weight).permute(0, 3, 1, 2).contiguous(); // (1|B, T, S, H) → (1|B, H, T, S)
        });

    protected override void Dispose(bool disposing)
    {
        if (disposing) tables.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>The bucket of each key (…, 1, S) or (S) for each query (…, T, 1), int64: (…, T, S).</summary>
    public static Tensor Buckets(T5BiasOptions options, bool causal, Tensor queries, Tensor keys)
    {
        Tensor ahead = keys.sub(queries); // (…, T, S): how far a key is after its query
        if (causal) return OneSided(ahead.neg().clamp(min: 0), options.Buckets, options.MaxDistance);
        int half = options.Buckets / 2;
        return OneSided(ahead.abs(), half, options.MaxDistance).add(ahead.gt(0).to_type(ScalarType.Int64).mul(half));
    }

    // Half of the buckets for distances 0, 1, …; the others in logarithmic steps up to the largest distance. The logarithm
    // is float32 and its factors in this order, as in T5's own code: at the edges of buckets a different rounding is another bucket.
    private static Tensor OneSided(Tensor distance, int buckets, int maxDistance)
    {
        int exact = buckets / 2;
        Tensor steps = distance.to_type(ScalarType.Float32).div(exact).log()
            .div(Math.Log(maxDistance / (double)exact)).mul(buckets - exact);
        // Distance 0 has no logarithm, but a bucket of its own.
        Tensor far = steps.clamp(min: 0).to_type(ScalarType.Int64).add(exact).clamp(max: buckets - 1);
        return distance.where(distance.lt(exact), far);
    }
}
