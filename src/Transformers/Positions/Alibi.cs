// Shapes: T query positions, S key positions, H heads.
using System.Numerics;
using Trainer.Transformers.Attention;
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Positions;

/// <summary>ALiBi: each head subtracts a slope of its own times the distance from the scores, so that far keys count less, also at lengths never
/// trained on (Press et al. 2021, arXiv 2108.12409).</summary>
/// <remarks>Where later positions are visible, as in an encoder, the distance is the same in both directions. It is added after the
/// scale 1/√D, as in the paper and in Bloom.</remarks>
public sealed record AlibiOptions : PositionOptions
{
    internal override PositionEncoding Build(ModelParts parts, AttentionOptions attention) => new AlibiPositions(attention.Heads);
}

internal sealed class AlibiPositions : PositionEncoding
{
    private readonly SpanTables tables;

    public AlibiPositions(int heads)
        : base(nameof(AlibiPositions)) => tables = new((queries, keys, device) => Table(Slopes(heads), queries, keys, device));

    public override bool AddsBias => true;

    public override Tensor? Bias(Tensor query, ForwardPass pass, PositionSpan queries, PositionSpan keys) => tables.Get(queries, keys, query.device);

    protected override void Dispose(bool disposing)
    {
        if (disposing) tables.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>The slope of each head: 2^(−8h/H) for h in 1 … H where H is a power of two; else those of the power n below it, and from those of
    /// 2n every other one until there are enough, as in the code published with the paper.</summary>
    public static double[] Slopes(int heads)
    {
        int whole = 1 << BitOperations.Log2((uint)heads);
        return [.. Geometric(whole), .. Geometric(2 * whole).Where((_, i) => i % 2 == 0).Take(heads - whole)];

        static IEnumerable<double> Geometric(int count) => Enumerable.Range(1, count).Select(h => Math.Pow(2, -8.0 * h / count));
    }

    private static Tensor Table(double[] slopes, PositionSpan queries, PositionSpan keys, Device device)
    {
        Tensor distances = queries.Positions(device).unsqueeze(1).sub(keys.Positions(device)).abs().to_type(ScalarType.Float32); // (T, S)
        return tensor(slopes).to_type(ScalarType.Float32).to(device).neg().view(1, -1, 1, 1).mul(distances); // (1, H, T, S)
    }
}
