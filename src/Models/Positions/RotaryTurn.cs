// Shapes: B batch, T positions, H heads, R turned dimensions of a head, W width of a table's row.
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>How one layout turns its pairs, (x₁, x₂) → (x₁·cos − x₂·sin, x₂·cos + x₁·sin), in few operations.</summary>
internal abstract class RotaryTurn
{
    /// <summary>Whether the numbers of a pair lie side by side.</summary>
    public abstract bool Neighbours { get; }

    /// <summary>What is kept of each position.</summary>
    /// <param name="cos">(T, R/2)</param>
    /// <param name="sin">(T, R/2)</param>
    /// <returns>(T, W)</returns>
    public abstract Tensor Rows(Tensor cos, Tensor sin);

    /// <summary>The turned heads, float32 (B, T, H, R).</summary>
    /// <param name="heads">(B, T, H, R)</param>
    /// <param name="rows">Of the positions, (T, W) or (B, T, W), float32.</param>
    public abstract Tensor Turn(Tensor heads, Tensor rows);

    public static RotaryTurn Of(RotaryLayout layout) => layout switch
    {
        RotaryLayout.HalfSplit => new HalfSplitTurn(),
        RotaryLayout.Interleaved => new InterleavedTurn(),
        _ => throw new ArgumentOutOfRangeException(nameof(layout), layout, "unknown layout"),
    };
}

/// <summary>Pairs half a head apart: rolling by half a head swaps them.</summary>
internal sealed class HalfSplitTurn : RotaryTurn
{
    public override bool Neighbours => false;

    // The sign of the rotation is in the table: the first half of the result takes −sin of the second, the second +sin of the first.
    public override Tensor Rows(Tensor cos, Tensor sin) => cat([cos, cos, sin.neg(), sin], -1); // (T, 2R)

    public override Tensor Turn(Tensor heads, Tensor rows)
    {
        long turned = heads.size(3);
        Tensor cos = rows.narrow(-1, 0, turned).unsqueeze(-2); // (T, 1, R) or (B, T, 1, R)
        Tensor sin = rows.narrow(-1, turned, turned).unsqueeze(-2); // (T, 1, R) or (B, T, 1, R)
        return heads.mul(cos).add(heads.roll(turned / 2, -1).mul(sin)); // (B, T, H, R)
    }
}

/// <summary>Pairs side by side are complex numbers, and turning one is a product with cos + i·sin: one pass over the heads.</summary>
internal sealed class InterleavedTurn : RotaryTurn
{
    public override bool Neighbours => true;

    public override Tensor Rows(Tensor cos, Tensor sin) => stack([cos, sin], -1).flatten(-2); // (T, R)

    public override Tensor Turn(Tensor heads, Tensor rows)
    {
        Tensor turns = Pairs(rows).unsqueeze(-2); // (T, 1, R/2) or (B, T, 1, R/2), complex
        return Pairs(Aligned(heads)).mul(turns).view_as_real().flatten(-2); // (B, T, H, R/2, 2) → (B, T, H, R)
    }

    private static Tensor Pairs(Tensor x) => x.view([.. x.shape[..^1], x.size(-1) / 2, 2]).view_as_complex(); // (…, R) → (…, R/2)

    // Complex numbers are float32 and begin at even places.
    private static Tensor Aligned(Tensor heads)
    {
        Tensor single = heads.to_type(ScalarType.Float32);
        bool aligned = single.storage_offset() % 2 == 0 && single.stride()[..^1].All(step => step % 2 == 0);
        return aligned ? single : single.flatten().clone().view(single.shape);
    }
}
