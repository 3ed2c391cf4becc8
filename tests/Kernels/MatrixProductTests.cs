using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class MatrixProductTests
{
    private static readonly int[][] Sizes =
        // M, K, N
        [[1, 1, 1], [6, 16, 256], [7, 17, 257], [100, 33, 65], [97, 300, 1030], [2, 600, 40], [1050, 290, 5], [200, 8, 64], [61, 2100, 130],
            [600, 1026, 72]];

    private static readonly ScalarType[] Types = [ScalarType.Float32, ScalarType.BFloat16];

    public static MatrixTheoryData<int[], ScalarType, ScalarType, string> Cases =>
        new(Sizes, Types, Types, ["as it is", "right turned", "left turned", "both turned"]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_product_is_the_product_in_every_layout(int[] size, ScalarType type, ScalarType result, string layout) =>
        CheckLayout(size, type, result, layout);

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_product_in_lanes_is_the_product_in_every_layout(int[] size, ScalarType type, ScalarType result, string layout)
    {
        using InLanes lanes = new();
        CheckLayout(size, type, result, layout);
    }

    private static void CheckLayout(int[] size, ScalarType type, ScalarType result, string layout)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor left = Matrix(size[0], size[1], layout is "left turned" or "both turned").to(type),
            right = Matrix(size[1], size[2], layout is "right turned" or "both turned").to(type), bias = randn(size[2]);
        Assert.True(MatrixProduct.IsSupported(left, right));
        Tensor exact = left.to(ScalarType.Float64).mm(right.to(ScalarType.Float64));
        double scale = Math.Max(1, exact.abs().max().item<double>());
        double tolerance = result == ScalarType.Float32 ? 2e-6 * scale : scale / 250;
        Tensor product = MatrixProduct.Multiply(left, right, type: result);
        Assert.Equal(result, product.dtype);
        TensorAssert.Close(exact, product, tolerance);
        Tensor biased = MatrixProduct.Multiply(left, right, bias, result);
        TensorAssert.Close(exact.add(bias), biased, tolerance);
        if (result == ScalarType.BFloat16)
            TensorAssert.SameBits(MatrixProduct.Multiply(left, right, bias).to(ScalarType.BFloat16), biased);

        static Tensor Matrix(int rows, int columns, bool turns) => turns ? randn(columns, rows).t() : randn(rows, columns);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_product_goes_into_a_part_of_another_matrix(bool add)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor left = randn(70, 300), right = randn(300, 41), whole = randn(90, 60), part = whole.narrow(0, 9, 70).narrow(1, 3, 41);
        Tensor expected = whole.clone();
        expected.narrow(0, 9, 70).narrow(1, 3, 41).copy_(add ? part.add(left.mm(right)) : left.mm(right));
        MatrixProduct.MultiplyInto(part, left, right, add);
        TensorAssert.Close(expected, whole, 1e-4);
        TensorAssert.SameBits(expected.narrow(1, 44, 16), whole.narrow(1, 44, 16));
    }

    [Theory]
    [InlineData(ScalarType.Float32, false)]
    [InlineData(ScalarType.BFloat16, false)]
    [InlineData(ScalarType.Float32, true)]
    [InlineData(ScalarType.BFloat16, true)]
    public void The_bits_depend_on_neither_threads_nor_the_rows_and_columns_beside(ScalarType type, bool inLanes)
    {
        using InLanes? lanes = inLanes ? new() : null;
        using DisposeScope scope = NewDisposeScope();
        Tensor left = randn(700, 530).to(type), right = randn(1200, 530).to(type).t();
        Tensor whole = MatrixProduct.Multiply(left, right);
        int before = get_num_threads();
        try
        {
            foreach (int threads in (int[])[1, 2, 5])
            {
                set_num_threads(threads);
                TensorAssert.SameBits(whole, MatrixProduct.Multiply(left, right));
            }
        }
        finally
        {
            set_num_threads(before);
        }
        foreach (int cut in (int[])[1, 2, 5, 97, 350, 699])
        {
            TensorAssert.SameBits(whole.narrow(0, 0, cut), MatrixProduct.Multiply(left.narrow(0, 0, cut), right));
            TensorAssert.SameBits(whole.narrow(0, cut, 700 - cut), MatrixProduct.Multiply(left.narrow(0, cut, 700 - cut), right));
            TensorAssert.SameBits(whole.narrow(1, cut, 500), MatrixProduct.Multiply(left, right.narrow(1, cut, 500)));
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(16)]
    public void Vectors_of_every_width_give_the_same_bits(int count)
    {
        using InLanes lanes = new();
        using DisposeScope scope = NewDisposeScope();
        Tensor left = randn(130, 410), right = randn(410, 75), expected = MatrixProduct.Multiply(left, right);
        KernelAssert.WithLanes(count, () =>
        {
            TensorAssert.SameBits(expected, MatrixProduct.Multiply(left, right));
            TensorAssert.SameBits(expected, MatrixProduct.Multiply(left.t().contiguous().t(), right.t().contiguous().t()));
        });
    }

    [Fact]
    public void Nothing_by_nothing_is_nothing()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal([0, 3], MatrixProduct.Multiply(zeros(0, 2), zeros(2, 3)).shape);
        TensorAssert.Equal([1, 2, 1, 2], MatrixProduct.Multiply(zeros(2, 0), zeros(0, 2), tensor([1f, 2f])));
        Assert.Throws<TorchException>(() => MatrixProduct.Multiply(zeros(2, 3), zeros(4, 5)));
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Int32)]
    public void Other_types_are_multiplied_by_libtorch(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor left = arange(6).view(2, 3).to(type), right = arange(6).view(3, 2).to(type);
        TensorAssert.Equal([10, 13, 28, 40], MatrixProduct.Multiply(left, right, type: type));
    }

    [Fact]
    public void Several_threads_multiply_at_once()
    {
        using Tensor left = randn(300, 260), right = randn(260, 300), expected = MatrixProduct.Multiply(left, right);
        using WorkerThreads workers = new(3);
        workers.Run(_ =>
        {
            for (int i = 0; i < 5; i++)
            {
                using Tensor product = MatrixProduct.Multiply(left, right);
                TensorAssert.SameBits(expected, product);
            }
        });
    }

    /// <summary>Has products computed without oneDNN's kernel.</summary>
    private sealed class InLanes : IDisposable
    {
        public InLanes() => BlockProduct.IsEnabled = false;

        public void Dispose() => BlockProduct.IsEnabled = true;
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, 70)]
    [InlineData(ScalarType.BFloat16, 38)]
    [InlineData(ScalarType.Float32, 70)]
    [InlineData(ScalarType.Float32, 33)]
    public void Threads_keep_out_of_each_others_rows_of_a_transposed_factor(ScalarType type, int depth)
    {
        using DisposeScope scope = NewDisposeScope();
        int threads = get_num_threads();
        set_num_threads(4);
        try
        {
            Tensor left = randn(depth, 4096).to(type).t(), right = randn(depth, 64).to(type);
            Tensor expected = left.to(ScalarType.Float64).mm(right.to(ScalarType.Float64));
            for (int i = 0; i < 20; i++)
            {
                using Tensor product = MatrixProduct.Multiply(left, right);
                TensorAssert.Close(expected, product.to(ScalarType.Float64), 1e-4);
            }
        }
        finally
        {
            set_num_threads(threads);
        }
    }
}
