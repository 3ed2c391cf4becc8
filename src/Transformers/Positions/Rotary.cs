// Shapes: B batch, T positions, H heads, D head dimension, R turned dimensions of a head.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Transformers.Attention;
using static TorchSharp.torch;

namespace Trainer.Transformers.Positions;

/// <summary>Turns pairs of dimensions of queries and keys by angles proportional to their position, so that scores depend on
/// distance alone (Su et al. 2021, arXiv 2104.09864).</summary>
/// <remarks>Layout half-split (Hugging Face, GPT-NeoX): dimension i is paired with i + R/2.</remarks>
public sealed record RotaryOptions : PositionOptions
{
    /// <summary>Base of the frequencies: the slowest pair takes about 2π·theta positions for a turn.</summary>
    [Description("Base of the frequencies.")]
    [Range(1.0, 1e12)]
    public double Theta { get; init; } = 10000;

    /// <summary>Part of each head that is turned; the rest carries no position (GPT-NeoX: 0.25).</summary>
    [Description("Part of each head that is turned.")]
    [Range(0.0, 1.0)]
    public double Fraction { get; init; } = 1;

    internal override bool RotatesHeads => true;

    internal override IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention)
    {
        int headDim = attention.TurnedWidth(model.Dim);
        if (headDim % 2 != 0)
            yield return new("", $"rotary positions pair dimensions of a head, and a head has {headDim} (dim {model.Dim}, heads {attention.Heads}), which is odd; choose dim or heads so that it is even");
        else if (TurnedDims(headDim) < 2)
            yield return new("fraction", $"fraction ({Fraction}) of a head of {headDim} dimensions leaves no pair to turn; use at least {2.0 / headDim:0.####}, or position type 'none'");
    }

    internal override PositionEncoding Build(ModelParts parts, AttentionOptions attention)
    {
        int headDim = attention.TurnedWidth(parts.Dim);
        return new RotaryPositions(Theta, headDim, TurnedDims(headDim), parts.Options.ContextLength);
    }

    private int TurnedDims(int headDim) => (int)(headDim * Fraction) / 2 * 2;
}

internal sealed class RotaryPositions : PositionEncoding
{
    private readonly int headDim;
    private readonly int turned;
    private readonly PositionTable cosines;
    private readonly PositionTable sines;

    public RotaryPositions(double theta, int headDim, int turned, int contextLength)
        : base(nameof(RotaryPositions))
    {
        (this.headDim, this.turned) = (headDim, turned);
        cosines = new(positions => Angles(positions).cos().repeat(1, 2), contextLength);
        // The sign of the rotation is in the table: the first half of the result takes −sin of the second, the second +sin of the first.
        sines = new(positions => Signed(Angles(positions).sin()), contextLength);

        Tensor Angles(Tensor positions) => positions.mul(Frequencies.Of(turned, theta)); // (T, 1)·(R/2) → (T, R/2)
    }

    public override bool RotatesHeads => true;

    public override Tensor Rotate(Tensor heads, ForwardPass pass)
    {
        if (turned == headDim) return Turn(heads, pass);
        Tensor[] parts = heads.split([turned, headDim - turned], -1);
        return cat([Turn(parts[0], pass), parts[1]], -1); // (B, T, H, R) + (B, T, H, D−R) → (B, T, H, D)
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            cosines.Dispose();
            sines.Dispose();
        }
        base.Dispose(disposing);
    }

    // (x₁, x₂) → (x₁·cos − x₂·sin, x₂·cos + x₁·sin) in three operations: rolling by half a head swaps the halves.
    private Tensor Turn(Tensor heads, ForwardPass pass)
    {
        int length = (int)heads.size(1);
        Tensor cos = cosines.Rows(pass, length, heads.device).unsqueeze(-2); // (T, 1, R) or (B, T, 1, R)
        Tensor sin = sines.Rows(pass, length, heads.device).unsqueeze(-2); // (T, 1, R) or (B, T, 1, R)
        return heads.mul(cos).add(heads.roll(turned / 2, -1).mul(sin)); // (B, T, H, R)
    }

    private static Tensor Signed(Tensor sine) => cat([sine.neg(), sine], -1); // (T, R/2) → (T, R)
}
