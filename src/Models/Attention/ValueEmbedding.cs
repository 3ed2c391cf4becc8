// Shapes: B batch, T positions, G key-value heads, D head dimension, V vocabulary.
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>A table of tokens that is added to a layer's values: λ₁·v + λ₂·table[token], both factors learned, ½ at first (modded-nanogpt
/// 2024; after value residual learning, Zhou et al. 2024, arXiv 2410.17897).</summary>
internal sealed class ValueEmbedding : nn.Module, IEmbeds, IDrawsOwnWeights
{
    private readonly Parameter weight; // (V, G·D)
    private readonly Parameter scales; // (2)
    private readonly double deviation;

    public ValueEmbedding(int vocabularySize, int width, int dim)
        : base(nameof(ValueEmbedding))
    {
        weight = new Parameter(empty(vocabularySize, width));
        scales = new Parameter(full([2], 0.5f));
        deviation = 0.02 * Math.Sqrt(dim); // as large as values are at first
        RegisterComponents();
    }

    public IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights =>
        [(nameof(weight), (table, generator) => table.normal_(0, deviation, generator))];

    public static long Parameters(long vocabularySize, long width) => vocabularySize * width + 2;

    public Tensor AddTo(Tensor values, Tensor tokens) // (B, T, G, D), (B, T) → (B, T, G, D)
    {
        Tensor rows = Functional.Embedding(tokens, weight).view(values.shape).to_type(values.dtype);
        return values.mul(scales[0]).add(rows.mul(scales[1])).to_type(values.dtype);
    }
}
