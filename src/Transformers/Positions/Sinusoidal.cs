// Shapes: B batch, T positions, C model dimension.
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Transformers.Positions;

/// <summary>Sines and cosines of geometrically growing wavelength, added to the embeddings (Vaswani et al. 2017, §3.5).</summary>
public sealed record SinusoidalOptions : PositionOptions
{
    internal override IEnumerable<Problem> Against(ModelOptions model)
    {
        if (model.Dim % 2 != 0) yield return new("", $"sinusoidal positions pair dimensions, and dim ({model.Dim}) is odd; use {model.Dim + 1}");
    }

    internal override PositionEncoding Build(ModelOptions model) => new SinusoidalPositions(model.ContextLength, model.Dim);
}

internal sealed class SinusoidalPositions(int contextLength, int dim) : PositionEncoding(nameof(SinusoidalPositions))
{
    private const double Base = 10000;
    private readonly PositionTable table = new(positions => Encode(positions, dim), contextLength);

    public override Tensor Embed(Tensor x, int offset) => x.add(table.Rows(offset, (int)x.shape[1], x.device)); // (B, T, C) + (T, C)

    protected override void Dispose(bool disposing)
    {
        if (disposing) table.Dispose();
        base.Dispose(disposing);
    }

    // PE(p, 2i) = sin(p / 10000^(2i/C)), PE(p, 2i+1) = cos of the same.
    private static Tensor Encode(Tensor positions, int dim)
    {
        Tensor angles = positions.mul(Frequencies.Of(dim, Base)); // (T, 1)·(C/2) → (T, C/2)
        return stack([angles.sin(), angles.cos()], -1).reshape(positions.shape[0], dim); // (T, C/2, 2) → (T, C)
    }
}
