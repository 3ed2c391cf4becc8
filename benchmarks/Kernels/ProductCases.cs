// Shapes: N tokens of a batch, C model dimension, F hidden dimension, K blocks of 32 numbers.
using static TorchSharp.torch;

namespace Trainer.Kernels.Benchmarks;

/// <summary>Products of matrices, and matrices in blocks of 8 bits.</summary>
internal static class ProductCases
{
    public static (string Name, Func<ModelSize, Pair> Make)[] All { get; } =
    [
        .. Cases.InBothTypes("matrix product, of a linear layer", (size, type) => Product(OfLayer(size, type), inLanes: false)),
        .. Cases.InBothTypes(
            "matrix product, of a weight's gradient", (size, type) => Product(OfWeightGradient(size, type), inLanes: false)),
        .. Cases.InBothTypes("matrix product in lanes, of a linear layer", (size, type) => Product(OfLayer(size, type), inLanes: true)),
        .. Cases.InBothTypes(
            "matrix product in lanes, of a weight's gradient", (size, type) => Product(OfWeightGradient(size, type), inLanes: true)),
        .. Cases.InBothTypes("frozen linear, weight in bfloat16", (size, type) => Frozen(size, ScalarType.BFloat16, type)),
        .. Cases.InBothTypes("frozen linear, weight in blocks of 8 bits", (size, type) => Frozen(size, ScalarType.Int8, type)),
        ("linear, blocks of 8 bits", LinearOfBlocks),
        ("blocks of 8 bits, packed", Pack),
        ("blocks of 8 bits, unpacked", Unpack),
    ];

    private static Pair Product((Tensor Left, Tensor Right) factors, bool inLanes)
    {
        (Tensor left, Tensor right) = factors;
        return Pair.Of(Multiply, () => left.to(ScalarType.Float32).mm(right.to(ScalarType.Float32)).Dispose());

        void Multiply()
        {
            BlockProduct.IsEnabled = !inLanes;
            MatrixProduct.Multiply(left, right).Dispose();
            BlockProduct.IsEnabled = true;
        }
    }

    // (N, C) · (C, F)
    private static (Tensor Left, Tensor Right) OfLayer(ModelSize size, ScalarType type) =>
        (randn(size.TokenCount, size.Dim).to(type), randn(size.Hidden, size.Dim).to(type).t());

    // (F, N) · (N, C)
    private static (Tensor Left, Tensor Right) OfWeightGradient(ModelSize size, ScalarType type) =>
        (randn(size.TokenCount, size.Hidden).to(type).t(), randn(size.TokenCount, size.Dim).to(type));

    private static Pair Frozen(ModelSize size, ScalarType storage, ScalarType computeType)
    {
        Tensor x = size.Stream(size.Dim), weight = ComputeWeight.Round(randn(size.Hidden, size.Dim), storage);
        return Pair.Of([x], () => FrozenLinear.Apply(x, weight, null, computeType), () => nn.functional.linear(Rounded(x), Wide()));

        Tensor Wide() => Rounded(FrozenLinear.Unpacked(weight, ScalarType.Float32));

        Tensor Rounded(Tensor numbers) => numbers.to(computeType).to(ScalarType.Float32);
    }

    private static Pair LinearOfBlocks(ModelSize size)
    {
        Tensor x = randn(size.TokenCount, size.Dim), blocks = BlockQuantization.Pack(randn(size.Hidden, size.Dim));
        return Pair.Of(
            () => BlockQuantization.Linear(x, blocks).Dispose(),
            () => nn.functional.linear(x, BlockQuantization.Unpack(blocks)).Dispose());
    }

    private static Pair Pack(ModelSize size)
    {
        Tensor numbers = randn(size.Hidden, size.Dim);
        return Pair.Of(() => BlockQuantization.Pack(numbers).Dispose(), () => Composed().Dispose());

        Tensor Composed()
        {
            Tensor blocks = numbers.view(-1, BlockQuantization.BlockLength); // (K, 32)
            Tensor scales = blocks.abs().amax([1]).div(127).unsqueeze(1); // (K, 1)
            Tensor integers = blocks.div(scales).round().to(ScalarType.Int8);
            return cat([scales.to(ScalarType.Float16).ViewAs(ScalarType.Int8), integers], 1); // (K, 34)
        }
    }

    private static Pair Unpack(ModelSize size)
    {
        Tensor blocks = BlockQuantization.Pack(randn(size.Hidden, size.Dim));
        return Pair.Of(() => BlockQuantization.Unpack(blocks).Dispose(), () => Composed().Dispose());

        Tensor Composed()
        {
            Tensor bytes = blocks.view(-1, BlockQuantization.BlockBytes); // (K, 34)
            Tensor scales = bytes.narrow(1, 0, 2).ViewAs(ScalarType.Float16).to(ScalarType.Float32); // (K, 1)
            return bytes.narrow(1, 2, BlockQuantization.BlockLength).to(ScalarType.Float32).mul(scales); // (K, 32)
        }
    }
}
