// Shapes: B batch, T positions, C model dimension.
using Trainer.Configuration;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>Sines and cosines of geometric wavelengths, added to the embeddings (Vaswani et al. 2017, §3.5).</summary>
public sealed record SinusoidalOptions : PositionOptions
{
    internal override bool EntersEmbedding => true;

    internal override IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention)
    {
        if (model.Dim % 2 != 0)
            yield return new("", $"sinusoidal positions pair dimensions, and dim ({model.Dim}) is odd; use {model.Dim + 1}");
    }

    internal override PositionEncoding Build(StackContext stack, AttentionOptions attention) =>
        new SinusoidalPositions(stack.Options.ContextLength, stack.Dim);
}

internal sealed class SinusoidalPositions(int contextLength, int dim) : PositionEncoding(nameof(SinusoidalPositions))
{
    private const double Base = 10000;
    private readonly PositionTable table = new(positions => Encode(positions, dim), contextLength);

    // (B, T, C) + (T, C)
    public override Tensor Embed(Tensor x, AttentionContext context) => x.add(table.Rows(context, (int)x.size(1), x.device));

    protected override void Dispose(bool disposing)
    {
        if (disposing) table.Dispose();
        base.Dispose(disposing);
    }

    // PE(p, 2i) = sin(p / 10000^(2i/C)), PE(p, 2i+1) = cos of the same.
    private static Tensor Encode(Tensor positions, int dim)
    {
        Tensor angles = positions.mul(tensor(new FrequencyBasis(dim, Base).Frequencies())); // (T, 1)·(C/2) → (T, C/2)
        return stack([angles.sin(), angles.cos()], -1).reshape(positions.shape[0], dim); // (T, C/2, 2) → (T, C)
    }
}
