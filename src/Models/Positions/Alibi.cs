// Shapes: T query positions, S key positions, H heads.
using System.Numerics;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>ALiBi: each head's slope times the distance is subtracted from the scores (Press et al. 2021, arXiv 2108.12409).</summary>
/// <remarks>Distances are symmetric in an encoder. The bias comes after the scale 1/√D, as in the paper and in Bloom.</remarks>
public sealed record AlibiOptions : PositionOptions
{
    internal override bool AddsBias => true;

    internal override PositionEncoding Build(StackContext stack, AttentionOptions attention) => new AlibiPositions(attention.Heads);
}

internal sealed class AlibiPositions : PositionEncoding
{
    private readonly double[] slopes;
    private readonly SpanTables tables;

    public AlibiPositions(int heads)
        : base(nameof(AlibiPositions))
    {
        slopes = Slopes(heads);
        tables = new((queries, keys, device) => Table(slopes, queries.Positions(device).unsqueeze(1), keys.Positions(device)));
    }

    public override bool AddsBias => true;

    public override Tensor? Bias(
        Tensor query, AttentionContext context, PositionSpan queries, PositionSpan keys, RowPositions? rows = null) =>
        rows is not null
            ? context.Shared((this, rows.Window), () => Table(slopes, rows.Queries, rows.Keys)) // (B, H, 1, S)
        : context.SkippingPositions is { } positions
            // (B, T, 1), (B, 1, T) → (B, H, T, T)
            ? context.Shared(this, () => Table(slopes, positions.unsqueeze(2), positions.unsqueeze(1)))
            : tables.Get(queries, keys, query.device);

    protected override void Dispose(bool disposing)
    {
        if (disposing) tables.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>2^(−8h/H) for h in 1 … H if H is a power of two; else those of the power n below it and every other one of 2n's.</summary>
    public static double[] Slopes(int heads)
    {
        int whole = 1 << BitOperations.Log2((uint)heads);
        return [.. Geometric(whole), .. Geometric(2 * whole).Where((_, i) => i % 2 == 0).Take(heads - whole)];

        static IEnumerable<double> Geometric(int count) => Enumerable.Range(1, count).Select(h => Math.Pow(2, -8.0 * h / count));
    }

    private static Tensor Table(double[] slopes, Tensor queries, Tensor keys)
    {
        Tensor distances = queries.sub(keys).abs().to_type(ScalarType.Float32).unsqueeze(-3); // (1, T, S) or (B, 1, T, S)
        // (1|B, H, T, S)
        return tensor(slopes).to_type(ScalarType.Float32).ToDevice(distances.device).neg().view(1, -1, 1, 1).mul(distances);
    }
}
