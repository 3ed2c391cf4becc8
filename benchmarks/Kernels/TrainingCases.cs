// Shapes: B batch, T positions, H heads, D head dimension, C model dimension, F hidden dimension, V vocabulary.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Benchmarks;

/// <summary>Kernels of a training step.</summary>
internal static class TrainingCases
{
    private const double Epsilon = 1e-5, Dropped = 0.1;
    private const int Tile = 64;

    private static readonly CounterDropout NoDropout = default;

    public static (string Name, Func<ModelSize, Pair> Make)[] All { get; } =
    [
        ("flash attention, causal", size => Flash(size, FlashAttention.Unbounded)),
        ("flash attention, sliding window of T / 4", size => Flash(size, size.Length / 4)),
        ("flash attention, packed", size => FlashPacked(size, ScalarType.Float32)),
        ("flash attention, packed, bfloat16", size => FlashPacked(size, ScalarType.BFloat16)),
        ("block-sparse attention, two blocks of 64", BlockSparse),
        ("layer norm with residual", LayerNorm),
        ("RMS norm with residual", RmsNorm),
        ("GELU", Gelu),
        ("SwiGLU", SwiGlu),
        ("feed-forward, GELU, bfloat16", size => FeedForward(size, FeedForwardFunction.Gelu, 1)),
        ("feed-forward, SwiGLU, bfloat16", size => FeedForward(size, FeedForwardFunction.SwiGlu, 2)),
        ("linear, float32", Linear),
        ("linear, bfloat16", MixedLinear),
        ("cross entropy of a linear layer", CrossEntropyOf),
        ("dropout by counter", Dropout),
        ("AdamW", AdamW),
        ("AdamW, moments of 8 bits", AdamW8Bit),
    ];

    private static Pair Flash(ModelSize size, long before)
    {
        // Heads of a token side by side, as projections leave them: (B, T, H, D) → (B, H, T, D).
        Tensor Heads() => randn(size.Rows, size.Length, size.Heads, size.HeadDim).transpose(1, 2).requires_grad_();
        Tensor[] heads = [Heads(), Heads(), Heads()];
        double scale = 1 / Math.Sqrt(size.HeadDim);
        FlashAttention.Options options = new(scale, before, 0, NoDropout, null, null, 0);
        return Pair.Of(
            heads,
            () => FlashAttention.Attend(heads[0], heads[1], heads[2], scale, before),
            () => FlashAttention.Composed(heads[0], heads[1], heads[2], options));
    }

    private static Pair FlashPacked(ModelSize size, ScalarType type)
    {
        Tensor packed = randn(size.Rows, size.Length, 3 * size.Heads, size.HeadDim).to(type).requires_grad_();
        double scale = 1 / Math.Sqrt(size.HeadDim);
        FlashAttention.Options options = new(scale, FlashAttention.Unbounded, 0, NoDropout, null, null, size.Heads);
        return Pair.Of(
            [packed], () => FlashAttention.AttendPacked(packed, size.Heads, scale), () => FlashAttention.ComposedPacked(packed, options));
    }

    // Each block of 64 sees what is before it in itself, and all of the block before.
    private static Pair BlockSparse(ModelSize size)
    {
        Tensor Heads() => randn([size.Rows, size.Heads, size.Length, size.HeadDim], requires_grad: true);
        Tensor[] heads = [Heads(), Heads(), Heads()];
        Tensor blocks = arange(size.Length, ScalarType.Int64).view(-1, Tile); // (T / 64, 64)
        long count = blocks.size(0);
        Tensor later = ones(Tile, Tile).triu(1).to_type(ScalarType.Bool);
        Tensor mask = zeros(Tile, Tile).masked_fill(later, double.NegativeInfinity);
        List<AttentionTiles> tiles = [new(blocks, blocks, mask, Joins: false)];
        if (count > 1) tiles.Add(new(blocks.narrow(0, 1, count - 1), blocks.narrow(0, 0, count - 1), null, Joins: true));
        double scale = 1 / Math.Sqrt(size.HeadDim);
        return Pair.Of(
            heads,
            () => BlockSparseAttention.Attend(heads[0], heads[1], heads[2], tiles, scale),
            () => BlockSparseAttention.Composed(heads[0], heads[1], heads[2], tiles, scale));
    }

    private static Pair LayerNorm(ModelSize size)
    {
        Tensor x = size.Stream(size.Dim), branch = size.Stream(size.Dim);
        Tensor weight = ones([size.Dim], requires_grad: true), bias = zeros([size.Dim], requires_grad: true);
        return new(
            [x, branch, weight, bias],
            () => Both(Normalization.AddLayerNorm(x, branch, weight, bias, Epsilon)),
            () => Summed(x, branch, sum => Normalization.ComposedLayerNorm(sum, weight, bias, Epsilon, rounds: false)));
    }

    private static Pair RmsNorm(ModelSize size)
    {
        Tensor x = size.Stream(size.Dim), branch = size.Stream(size.Dim), weight = ones([size.Dim], requires_grad: true);
        return new(
            [x, branch, weight],
            () => Both(Normalization.AddRmsNorm(x, branch, weight, Epsilon)),
            () => Summed(x, branch, sum => Normalization.ComposedRmsNorm(sum, weight, Epsilon, rounds: false)));
    }

    private static Pair Gelu(ModelSize size)
    {
        Tensor x = size.Stream(size.Hidden);
        return Pair.Of([x], () => Activations.Gelu(x), () => nn.functional.gelu(x));
    }

    private static Pair SwiGlu(ModelSize size)
    {
        Tensor x = size.Stream(2 * size.Hidden);
        return Pair.Of([x], () => Activations.SwiGlu(x), () => Gated(x.chunk(2, -1)));

        static Tensor Gated(Tensor[] halves) => nn.functional.silu(halves[0]).mul(halves[1]);
    }

    private static Pair FeedForward(ModelSize size, FeedForwardFunction function, int gates)
    {
        Tensor x = size.Stream(size.Dim);
        LinearWeight up = Weight(gates * size.Hidden, size.Dim), down = Weight(size.Dim, size.Hidden);
        return Pair.Of(
            [x, up.Weight, down.Weight],
            () => FusedFeedForward.Apply(x, up, down, function),
            () => FusedFeedForward.Composed(x, up, down, function));
    }

    private static Pair Linear(ModelSize size)
    {
        Tensor x = size.Stream(size.Dim), weight = Weight(3 * size.Dim, size.Dim).Weight;
        return Pair.Of([x, weight], () => MixedPrecisionLinear.Apply(x, weight), () => nn.functional.linear(x, weight));
    }

    private static Pair MixedLinear(ModelSize size)
    {
        Tensor x = size.Stream(size.Dim);
        LinearWeight weight = Weight(3 * size.Dim, size.Dim);
        return Pair.Of(
            [x, weight.Weight],
            () => MixedPrecisionLinear.ApplyRounded(x, weight.Weight, weight.Rounded),
            () => MixedPrecisionLinear.Composed(x, weight.Weight, weight.Rounded, null, rounds: false));
    }

    private static Pair CrossEntropyOf(ModelSize size)
    {
        Tensor x = randn([size.Rows * size.Length, size.Dim], requires_grad: true), weight = Weight(size.Vocabulary, size.Dim).Weight;
        Tensor targets = randint(0, size.Vocabulary, [size.Rows * size.Length], ScalarType.Int64);
        CrossEntropyShape shape = new();
        return Pair.Of(
            [x, weight],
            () => CrossEntropy.Sum(x, weight, null, targets, shape),
            () => CrossEntropy.Composed(x, weight, null, targets, shape, null));
    }

    private static Pair Dropout(ModelSize size)
    {
        Tensor x = size.Stream(size.Dim);
        CounterDropout dropout = new DropoutKey(1).At(0, Dropped);
        return Pair.Of([x], () => CounterDropout.Apply(x, dropout), () => nn.functional.dropout(x, Dropped, training: true));
    }

    private static Pair AdamW8Bit(ModelSize size)
    {
        const double Rate = 1e-3, Beta1 = 0.9, Beta2 = 0.95, Decay = 0.1, Tiny = 1e-8;
        Tensor weight = randn(3 * size.Dim, size.Dim), gradient = randn(weight.shape);
        BlockwiseMoments moments = BlockwiseMoments.Zero(weight);
        return Pair.Of(
            () => BlockwiseAdamW.Step(weight, gradient, moments, Rate, Beta1, Beta2, Decay, Tiny),
            () => BlockwiseAdamW.Composed(weight, gradient, moments, Rate, Beta1, Beta2, Decay, Tiny));
    }

    // A block's matrices.
    private static Pair AdamW(ModelSize size)
    {
        const double Rate = 1e-3, Beta1 = 0.9, Beta2 = 0.95, Decay = 0.1, Tiny = 1e-8;
        long[][] shapes = [[3 * size.Dim, size.Dim], [size.Dim, size.Dim], [size.Hidden, size.Dim], [size.Dim, size.Hidden]];
        Tensor[] Made(Func<long[], Tensor> make) => [.. shapes.Select(make)];
        Tensor[] weights = Made(shape => randn(shape)), gradients = Made(shape => randn(shape));
        Tensor[] first = Made(shape => zeros(shape)), second = Made(shape => zeros(shape));
        Tensor[] steps = Made(_ => zeros([])); // float32
        return Pair.Of(
            () => FusedAdamW.Step(weights, gradients, first, second, steps, Rate, Beta1, Beta2, Decay, Tiny),
            () =>
            {
                using var unrecorded = no_grad();
                for (int i = 0; i < weights.Length; i++)
                {
                    double step = steps[i].add_(1).ToSingle(), root = Math.Sqrt(1 - Math.Pow(Beta2, step));
                    weights[i].mul_(1 - Rate * Decay);
                    first[i].mul_(Beta1).add_(gradients[i], alpha: 1 - Beta1);
                    second[i].mul_(Beta2).addcmul_(gradients[i], gradients[i], value: 1 - Beta2);
                    weights[i].addcdiv_(first[i], second[i].sqrt().div_(root).add_(Tiny), value: -Rate / (1 - Math.Pow(Beta1, step)));
                }
            });
    }

    private static LinearWeight Weight(int outputs, int inputs)
    {
        Tensor weight = randn(outputs, inputs).mul(0.02).requires_grad_();
        return new(weight, weight.detach().to(ScalarType.BFloat16));
    }

    private static Tensor[] Both((Tensor Sum, Tensor Norm) results) => [results.Sum, results.Norm];

    private static Tensor[] Summed(Tensor x, Tensor branch, Func<Tensor, Tensor> norm)
    {
        Tensor sum = x.add(branch);
        return [sum, norm(sum)];
    }
}
