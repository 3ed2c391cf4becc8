// Shapes: B batch, T positions, H heads, D head dimension, C model dimension, F hidden dimension, V vocabulary, c tiles of 64 rows.
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
        .. Cases.InBothTypes("flash attention, causal", (size, type) => Flash(size, type, FlashAttention.Unbounded)),
        .. Cases.InBothTypes("flash attention, sliding window of T / 4", (size, type) => Flash(size, type, size.Length / 4)),
        .. Cases.InBothTypes(
            "flash attention, full", (size, type) => Flash(size, type, FlashAttention.Unbounded, FlashAttention.Unbounded)),
        .. Cases.InBothTypes("flash attention, packed", (size, type) => FlashPacked(size, type, Causal(size))),
        .. Cases.InBothTypes(
            "flash attention, packed, two key-value heads", (size, type) => FlashPacked(size, type, Causal(size) with { Groups = 2 })),
        .. Cases.InBothTypes(
            "flash attention, packed, rotary",
            (size, type) => FlashPacked(size, type, Causal(size) with { Rotary = Angles(size, interleaved: false) })),
        .. Cases.InBothTypes(
            "flash attention, packed, interleaved rotary",
            (size, type) => FlashPacked(size, type, Causal(size) with { Rotary = Angles(size, interleaved: true) })),
        .. Cases.InBothTypes(
            "flash attention, packed, four documents",
            (size, type) => FlashPacked(size, type, Causal(size) with { Documents = Documents(size, 4) })),
        .. Cases.InBothTypes(
            "flash attention, packed, dropout",
            (size, type) => FlashPacked(size, type, Causal(size) with { Dropout = new DropoutKey(1).At(0, Dropped) })),
        .. Cases.InBothTypes("block-sparse attention, two blocks of 64", (size, type) => BlockSparse(size, type)),
        .. Cases.InBothTypes(
            "block-sparse attention, two blocks of 64, soft cap", (size, type) => BlockSparse(size, type, softCap: 50)),
        .. Cases.InBothTypes(
            "block-sparse attention, two blocks of 64, bias by distance", (size, type) => BlockSparse(size, type, biased: true)),
        .. Cases.InBothTypes("rows of tiles, gathered", GatherTiles),
        .. Cases.InBothTypes("rows of tiles, put back", PutTiles),
        ("rows of tiles, added up", AddTiles),
        .. Cases.InBothTypes("layer norm", LayerNorm),
        .. Cases.InBothTypes("layer norm with residual", AddLayerNorm),
        .. Cases.InBothTypes("RMS norm", RmsNorm),
        .. Cases.InBothTypes("RMS norm with residual", AddRmsNorm),
        ("GELU", size => Elementwise<GeluFunction>(size, Activations.Gelu)),
        ("GELU by tanh", size => Elementwise<GeluTanhFunction>(size, Activations.GeluTanh)),
        ("SiLU", size => Elementwise<SiluFunction>(size, Activations.Silu)),
        ("squared ReLU", size => Elementwise<SquaredReluFunction>(size, Activations.SquaredRelu)),
        ("SwiGLU", size => Gated<SiluFunction>(size, Activations.SwiGlu)),
        ("GeGLU", size => Gated<GeluFunction>(size, Activations.GeGlu)),
        ("GeGLU by tanh", size => Gated<GeluTanhFunction>(size, Activations.GeGluTanh)),
        ("feed-forward, GELU, bfloat16", size => FeedForward(size, FeedForwardFunction.Gelu)),
        ("feed-forward, GELU, bfloat16, input too", size => FeedForward(size, FeedForwardFunction.Gelu, ScalarType.BFloat16)),
        ("feed-forward, GELU by tanh, bfloat16", size => FeedForward(size, FeedForwardFunction.GeluTanh)),
        ("feed-forward, SiLU, bfloat16", size => FeedForward(size, FeedForwardFunction.Silu)),
        ("feed-forward, squared ReLU, bfloat16", size => FeedForward(size, FeedForwardFunction.SquaredRelu)),
        ("feed-forward, SwiGLU, bfloat16", size => FeedForward(size, FeedForwardFunction.SwiGlu)),
        ("feed-forward, SwiGLU, bfloat16, input too", size => FeedForward(size, FeedForwardFunction.SwiGlu, ScalarType.BFloat16)),
        ("feed-forward, GeGLU, bfloat16", size => FeedForward(size, FeedForwardFunction.GeGlu)),
        ("feed-forward, GeGLU by tanh, bfloat16", size => FeedForward(size, FeedForwardFunction.GeGluTanh)),
        ("linear, float32", Linear),
        ("linear, bfloat16", size => MixedLinear(size, ScalarType.Float32)),
        ("linear, bfloat16, input and result too", size => MixedLinear(size, ScalarType.BFloat16)),
        .. Cases.InBothTypes("cross entropy of a linear layer", (size, type) => CrossEntropyOf(size, type, new())),
        .. Cases.InBothTypes(
            "cross entropy of a linear layer, soft cap", (size, type) => CrossEntropyOf(size, type, new() { LogitSoftCap = 30 })),
        ("losses of tokens", TokenLosses),
        .. Cases.InBothTypes("sums of columns", SumColumns),
        .. Cases.InBothTypes("rows of experts, two to a token", GatherRows),
        ("dropout by counter", Dropout),
        ("AdamW", AdamW),
        ("AdamW, moments of 8 bits", AdamW8Bit),
        ("SGD with momentum", Sgd),
        ("norm of gradients, clipped", ClipNorm),
    ];

    private static Pair Flash(ModelSize size, ScalarType type, long before, long after = 0)
    {
        // Heads of a token side by side, as projections leave them: (B, T, H, D) → (B, H, T, D).
        Tensor Heads() => randn(size.Rows, size.Length, size.Heads, size.HeadDim).to(type).transpose(1, 2).requires_grad_();
        Tensor[] heads = [Heads(), Heads(), Heads()];
        FlashAttention.Options options = Causal(size) with { Before = before, After = after };
        return Pair.Of(
            heads,
            () => FlashAttention.Attend(heads[0], heads[1], heads[2], options.Scale, before, after),
            () => FlashAttention.Composed(heads[0], heads[1], heads[2], options));
    }

    private static Pair FlashPacked(ModelSize size, ScalarType type, FlashAttention.Options options)
    {
        Tensor packed = randn(size.Rows, size.Length, size.Heads + 2 * options.Groups, size.HeadDim).to(type).requires_grad_();
        return Pair.Of(
            [packed],
            () => FlashAttention.AttendPacked(
                packed, options.Groups, options.Scale, rotary: options.Rotary, dropout: options.Dropout, documents: options.Documents),
            () => FlashAttention.ComposedPacked(packed, options));
    }

    private static FlashAttention.Options Causal(ModelSize size) =>
        new(1 / Math.Sqrt(size.HeadDim), FlashAttention.Unbounded, 0, NoDropout, null, null, size.Heads);

    private static RotaryAngles Angles(ModelSize size, bool interleaved)
    {
        Tensor angles = rand(size.Length, size.HeadDim / 2).mul(6), cos = angles.cos(), sin = angles.sin(); // (T, D/2)
        Tensor table = interleaved ? stack([cos, sin], -1).flatten(-2) : cat([cos, cos, sin.neg(), sin], -1); // (T, D) or (T, 2·D)
        return new(table, size.HeadDim, interleaved);
    }

    // (B, T, 2): where the document of each position begins and ends.
    private static Tensor Documents(ModelSize size, int count)
    {
        int length = size.Length / count;
        Tensor begins = arange(size.Length, ScalarType.Int32).div(length, RoundingMode.floor).mul(length); // (T)
        return stack([begins, begins.add(length)], -1).repeat(size.Rows, 1, 1);
    }

    // Each block of 64 sees what is before it in itself, and all of the block before.
    private static Pair BlockSparse(ModelSize size, ScalarType type, double softCap = 0, bool biased = false)
    {
        Tensor Heads() => randn(size.Rows, size.Heads, size.Length, size.HeadDim).to(type).requires_grad_();
        Tensor[] heads = [Heads(), Heads(), Heads()];
        Tensor positions = arange(size.Length, ScalarType.Int64), blocks = positions.view(-1, Tile); // (T / 64, 64)
        long count = blocks.size(0);
        Tensor later = ones(Tile, Tile).triu(1).to_type(ScalarType.Bool);
        Tensor mask = zeros(Tile, Tile).masked_fill(later, double.NegativeInfinity);
        List<AttentionTiles> tiles = [new(blocks, blocks, mask, Joins: false)];
        if (count > 1) tiles.Add(new(blocks.narrow(0, 1, count - 1), blocks.narrow(0, 0, count - 1), null, Joins: true));
        double scale = 1 / Math.Sqrt(size.HeadDim);
        // Visible keys are 0 to 127 positions before their query.
        DistanceBias? bias = biased ? new(randn([size.Heads, 2 * Tile], requires_grad: true), 0, positions, positions) : null;
        return Pair.Of(
            bias is null ? heads : [.. heads, bias.Table],
            () => BlockSparseAttention.Attend(heads[0], heads[1], heads[2], tiles, scale, softCap, bias: bias),
            () => BlockSparseAttention.Composed(heads[0], heads[1], heads[2], tiles, scale, softCap, bias: bias));
    }

    private static Pair GatherTiles(ModelSize size, ScalarType type)
    {
        Tensor rows = randn(size.Rows, size.Heads, size.Length, size.HeadDim).to(type), index = ShuffledTiles(size);
        return Pair.Of(
            () => TileRows.Gather(rows, index).Dispose(),
            () => rows.index_select(2, index.view(-1)).view(size.Rows, size.Heads, -1, Tile, size.HeadDim)
                .permute(2, 0, 1, 3, 4).contiguous().Dispose()); // (B, H, T, D) → (c, B, H, 64, D)
    }

    private static Pair PutTiles(ModelSize size, ScalarType type)
    {
        Tensor rows = zeros([size.Rows, size.Heads, size.Length, size.HeadDim]).to(type), index = ShuffledTiles(size);
        Tensor tiles = randn([index.size(0), size.Rows, size.Heads, Tile, size.HeadDim]).to(type);
        return Pair.Of(() => TileRows.Put(rows, index, tiles), () => rows.index_copy_(2, index.view(-1), Lists(tiles)));
    }

    private static Pair AddTiles(ModelSize size)
    {
        Tensor rows = zeros([size.Rows, size.Heads, size.Length, size.HeadDim]), index = ShuffledTiles(size);
        Tensor tiles = randn([index.size(0), size.Rows, size.Heads, Tile, size.HeadDim]);
        return Pair.Of(() => TileRows.Add(rows, index, tiles), () => rows.index_add_(2, index.view(-1), Lists(tiles), 1));
    }

    // (c, 64)
    private static Tensor ShuffledTiles(ModelSize size) => randperm(size.Length).view(-1, Tile);

    // (c, B, H, 64, D) → (B, H, T, D)
    private static Tensor Lists(Tensor tiles) => tiles.permute(1, 2, 0, 3, 4).reshape(tiles.size(1), tiles.size(2), -1, tiles.size(4));

    // The type of a norm is that of its result; what is normalized is float32.
    private static Pair LayerNorm(ModelSize size, ScalarType type)
    {
        bool rounds = type == ScalarType.BFloat16;
        Tensor x = size.Stream(size.Dim), weight = ones([size.Dim], requires_grad: true), bias = zeros([size.Dim], requires_grad: true);
        return Pair.Of(
            [x, weight, bias],
            () => Normalization.LayerNorm(x, weight, bias, Epsilon, rounds),
            () => Normalization.ComposedLayerNorm(x, weight, bias, Epsilon, rounds));
    }

    private static Pair AddLayerNorm(ModelSize size, ScalarType type)
    {
        bool rounds = type == ScalarType.BFloat16;
        Tensor x = size.Stream(size.Dim), branch = size.Stream(size.Dim);
        Tensor weight = ones([size.Dim], requires_grad: true), bias = zeros([size.Dim], requires_grad: true);
        return new(
            [x, branch, weight, bias],
            () => Both(Normalization.AddLayerNorm(x, branch, weight, bias, Epsilon, rounds)),
            () => Summed(x, branch, sum => Normalization.ComposedLayerNorm(sum, weight, bias, Epsilon, rounds)));
    }

    private static Pair RmsNorm(ModelSize size, ScalarType type)
    {
        bool rounds = type == ScalarType.BFloat16;
        Tensor x = size.Stream(size.Dim), weight = ones([size.Dim], requires_grad: true);
        return Pair.Of(
            [x, weight],
            () => Normalization.RmsNorm(x, weight, Epsilon, rounds),
            () => Normalization.ComposedRmsNorm(x, weight, Epsilon, rounds));
    }

    private static Pair AddRmsNorm(ModelSize size, ScalarType type)
    {
        bool rounds = type == ScalarType.BFloat16;
        Tensor x = size.Stream(size.Dim), branch = size.Stream(size.Dim), weight = ones([size.Dim], requires_grad: true);
        return new(
            [x, branch, weight],
            () => Both(Normalization.AddRmsNorm(x, branch, weight, Epsilon, rounds)),
            () => Summed(x, branch, sum => Normalization.ComposedRmsNorm(sum, weight, Epsilon, rounds)));
    }

    private static Pair Elementwise<TFunction>(ModelSize size, Func<Tensor, Tensor> kernel) where TFunction : struct, IActivation
    {
        Tensor x = size.Stream(size.Hidden);
        return Pair.Of([x], () => kernel(x), () => TFunction.Composed(x));
    }

    private static Pair Gated<TFunction>(ModelSize size, Func<Tensor, Tensor> kernel) where TFunction : struct, IActivation
    {
        Tensor x = size.Stream(2 * size.Hidden);
        return Pair.Of([x], () => kernel(x), () => Activations.ComposedGated<TFunction>(x));
    }

    private static Pair FeedForward(ModelSize size, FeedForwardFunction function, ScalarType type = ScalarType.Float32)
    {
        bool gated = function is FeedForwardFunction.SwiGlu or FeedForwardFunction.GeGlu or FeedForwardFunction.GeGluTanh;
        Tensor x = size.Stream(size.Dim, type);
        LinearWeight up = Weight(gated ? 2 * size.Hidden : size.Hidden, size.Dim), down = Weight(size.Dim, size.Hidden);
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

    private static Pair MixedLinear(ModelSize size, ScalarType type)
    {
        bool rounds = type == ScalarType.BFloat16;
        Tensor x = size.Stream(size.Dim, type);
        LinearWeight weight = Weight(3 * size.Dim, size.Dim);
        return Pair.Of(
            [x, weight.Weight],
            () => MixedPrecisionLinear.ApplyRounded(x, weight.Weight, weight.Rounded, rounds: rounds),
            () => MixedPrecisionLinear.Composed(x, weight.Weight, weight.Rounded, null, rounds));
    }

    private static Pair CrossEntropyOf(ModelSize size, ScalarType type, CrossEntropyShape shape)
    {
        Tensor x = randn([size.TokenCount, size.Dim], requires_grad: true);
        LinearWeight weight = Weight(size.Vocabulary, size.Dim);
        Tensor? rounded = type == ScalarType.BFloat16 ? weight.Rounded : null;
        Tensor targets = randint(0, size.Vocabulary, [size.TokenCount], ScalarType.Int64);
        return Pair.Of(
            [x, weight.Weight],
            () => CrossEntropy.Sum(x, weight.Weight, null, targets, shape, rounded),
            () => CrossEntropy.Composed(x, weight.Weight, null, targets, shape, rounded));
    }

    private static Pair TokenLosses(ModelSize size)
    {
        Tensor logits = randn(size.TokenCount, size.Vocabulary);
        Tensor targets = randint(0, size.Vocabulary, [size.TokenCount], ScalarType.Int64);
        return Pair.Of(
            () => CrossEntropy.TokenLosses(logits, targets),
            () =>
            {
                nn.functional.cross_entropy(logits, targets, reduction: nn.Reduction.None).Dispose();
                logits.argmax(-1).eq(targets).sum().Dispose();
            });
    }

    // As for the gradient of a bias.
    private static Pair SumColumns(ModelSize size, ScalarType type)
    {
        Tensor matrix = randn(size.TokenCount, size.Hidden).to(type);
        return Pair.Of(() => ColumnSums.Of(matrix).Dispose(), () => matrix.to(ScalarType.Float32).sum([0]).Dispose());
    }

    private static Pair GatherRows(ModelSize size, ScalarType type)
    {
        const int Active = 2;
        Tensor x = randn(size.TokenCount, size.Dim).to(type).requires_grad_();
        Tensor order = randperm(size.TokenCount * Active), inverse = order.sort().Indices;
        return Pair.Of(
            [x], () => Rows.Gather(x, order, inverse, Active), () => x.repeat_interleave(Active, 0).index_select(0, order));
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

    private static Pair AdamW(ModelSize size)
    {
        const double Rate = 1e-3, Beta1 = 0.9, Beta2 = 0.95, Decay = 0.1, Tiny = 1e-8;
        Tensor[] weights = Matrices(size, shape => randn(shape)), gradients = Matrices(size, shape => randn(shape));
        Tensor[] first = Matrices(size, shape => zeros(shape)), second = Matrices(size, shape => zeros(shape));
        Tensor[] steps = Matrices(size, _ => zeros([])); // float32
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

    private static Pair Sgd(ModelSize size)
    {
        const double Rate = 1e-3, Momentum = 0.9, Decay = 0.1;
        Tensor[] weights = Matrices(size, shape => randn(shape)), gradients = Matrices(size, shape => randn(shape));
        Tensor[] momenta = Matrices(size, shape => zeros(shape));
        return Pair.Of(
            () => FusedSgd.Step(weights, gradients, momenta, Rate, Momentum, Decay, nesterov: false),
            () =>
            {
                using var unrecorded = no_grad();
                for (int i = 0; i < weights.Length; i++)
                {
                    momenta[i].mul_(Momentum).add_(gradients[i]).add_(weights[i], alpha: Decay);
                    weights[i].add_(momenta[i], alpha: -Rate);
                }
            });
    }

    private static Pair ClipNorm(ModelSize size)
    {
        const double MaxNorm = 1;
        Tensor[] gradients = Matrices(size, shape => randn(shape));
        return Pair.Of(
            () => Gradients.ClipNorm(gradients, MaxNorm).Dispose(),
            () =>
            {
                using var unrecorded = no_grad();
                Tensor norm = stack([.. gradients.Select(gradient => gradient.square().sum())]).sum().sqrt();
                Tensor factor = norm.add(1e-6).reciprocal().mul(MaxNorm).clamp_max(1.0);
                foreach (Tensor gradient in gradients) gradient.mul_(factor);
            });
    }

    // Of a block.
    private static Tensor[] Matrices(ModelSize size, Func<long[], Tensor> make)
    {
        long[][] shapes = [[3 * size.Dim, size.Dim], [size.Dim, size.Dim], [size.Hidden, size.Dim], [size.Dim, size.Hidden]];
        return [.. shapes.Select(make)];
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
