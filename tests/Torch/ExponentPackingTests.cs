using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Torch.Tests;

public sealed class ExponentPackingTests
{
    [Theory]
    [InlineData(1, 64)]
    [InlineData(4, 128)]
    [InlineData(7, 192)]
    [InlineData(50, 768)]
    [InlineData(301, 320)]
    public void Numbers_come_back_to_the_bit(int rows, int width)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor numbers = randn(rows, width).mul(randn(rows, 1).exp()).to_type(ScalarType.BFloat16);

        Tensor packed = ExponentPacking.TryPack(numbers)!;

        Assert.Equal((ScalarType.Byte, (long)rows), (packed.dtype, packed.size(0)));
        Assert.InRange(packed.size(1), width / 64 * 96 + 2, width / 64 * 96 + 2 + 4 * 22);
        AssertSame(numbers, ExponentPacking.Unpack(packed));
    }

    [Fact]
    public void What_is_float32_is_rounded_first()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Tensor numbers = randn(9, 256);
        AssertSame(numbers.to_type(ScalarType.BFloat16), ExponentPacking.Unpack(ExponentPacking.TryPack(numbers)!));
    }

    // Zeros of both signs, the smallest numbers there are, the largest, rows of zeros, and numbers that their row is too large for.
    [Fact]
    public void Odd_numbers_come_back_too()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] odd = [0f, -0f, 1e-40f, -3e-39f, 1.2e-38f, 3e38f, -2.5e38f, 1, -1, 1e-5f, 3e-5f, 6e-5f];
        float[] numbers = new float[11 * 128];
        for (int row = 0; row < 9; row++)
            for (int i = 0; i < odd.Length; i++) numbers[128 * row + 10 * i + row] = row < 5 ? odd[i] : odd[i] * 1e-20f;
        Tensor rounded = tensor(numbers, [11, 128]).to_type(ScalarType.BFloat16);
        AssertSame(rounded, ExponentPacking.Unpack(ExponentPacking.TryPack(rounded)!));
    }

    [Fact]
    public void Up_to_22_exceptions_a_row_are_packed_and_no_more()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        Tensor numbers = randn(6, 128).to_type(ScalarType.BFloat16);
        using (no_grad()) numbers[5].narrow(0, 40, 22).mul_(1e-12);
        AssertSame(numbers, ExponentPacking.Unpack(ExponentPacking.TryPack(numbers)!));
        using (no_grad()) numbers[5].narrow(0, 100, 1).mul_(1e-12);
        Assert.Null(ExponentPacking.TryPack(numbers));
        using (no_grad()) numbers[5].fill_(float.PositiveInfinity);
        AssertSame(numbers, ExponentPacking.Unpack(ExponentPacking.TryPack(numbers)!));
        using (no_grad()) numbers[0].narrow(0, 1, 1).fill_(float.NaN);
        Assert.Null(ExponentPacking.TryPack(numbers));
    }

    [Theory]
    [InlineData(1, 64, 7)]
    [InlineData(1, 768, 12)]
    [InlineData(3, 128, 13)]
    [InlineData(8, 320, 1)]
    [InlineData(9, 192, 30)]
    [InlineData(50, 512, 2100)]
    public void A_product_is_that_of_the_numbers_that_were_packed(int rows, int inputs, int outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        Tensor x = randn(1, rows, inputs), numbers = randn(outputs, inputs).to_type(ScalarType.BFloat16), bias = randn(outputs);
        using (no_grad()) numbers.narrow(1, 3, 20).mul_(1e-7);
        Tensor expected = functional.linear(Exact(x.to_type(ScalarType.BFloat16)), Exact(numbers), Exact(bias)).to_type(ScalarType.Float32);
        Tensor packed = ExponentPacking.TryPack(numbers)!;
        TensorAssert.Close(expected, ExponentPacking.Linear(x, packed, bias), 1e-5 * Math.Sqrt(inputs));
        TensorAssert.Close(expected.sub(bias), ExponentPacking.Linear(x.to_type(ScalarType.BFloat16), packed), 1e-5 * Math.Sqrt(inputs));
    }

    // Nothing but the exceptions would come out, if they were left out: 2e-5 of what is 1 elsewhere.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(20)]
    public void Exceptions_are_multiplied(int rows)
    {
        using DisposeScope scope = NewDisposeScope();
        float[] numbers = new float[5 * 64], x = new float[64];
        for (int row = 0; row < 5; row++) numbers[64 * row] = 1;
        (numbers[64 * 3 + 17], numbers[64 * 4 + 63]) = (2e-5f, -2e-6f);
        (x[17], x[63]) = (2, 3);
        float[] expected = [0, 0, 0, 2 * Rounded(2e-5f), 3 * Rounded(-2e-6f)];
        Tensor product = ExponentPacking.Linear(tensor(x, [1, 64]).expand(rows, 64), ExponentPacking.TryPack(tensor(numbers, [5, 64]))!);
        for (int i = 0; i < rows; i++) Assert.Equal(expected, product[i].data<float>().ToArray());
    }

    [Fact]
    public void A_packed_matrix_counts_among_live_tensors()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor numbers = randn(4, 64);
        Finalizers.Run();
        long before = TensorCount.Live;
        using (Tensor packed = ExponentPacking.TryPack(numbers)!) Assert.Equal(before + 1, TensorCount.Live);
        Assert.Equal(before, TensorCount.Live);
    }

    [Fact]
    public void What_cannot_be_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.True(ExponentPacking.Divides(768));
        Assert.False(ExponentPacking.Divides(96));
        Assert.False(ExponentPacking.Divides(0));
        Assert.False(ExponentPacking.Divides(1 << 17));
        Assert.Contains("multiple of 64 and at most 65536 numbers, not [2, 96]", Assert.Throws<TorchException>(() => ExponentPacking.TryPack(zeros(2, 96))).Message);
        Assert.Contains("not [2, 96] Byte", Assert.Throws<TorchException>(() => ExponentPacking.Unpack(zeros([2, 96], ScalarType.Byte))).Message);
        Tensor packed = ExponentPacking.TryPack(randn(4, 64))!;
        Assert.Contains("takes rows of 64", Assert.Throws<TorchException>(() => ExponentPacking.Linear(zeros(1, 128), packed)).Message);
        Assert.Contains("no backward pass", Assert.Throws<TorchException>(() => ExponentPacking.Linear(zeros([1, 64], requires_grad: true), packed)).Message);
    }

    private static Tensor Exact(Tensor x) => x.to_type(ScalarType.Float64);

    private static float Rounded(float x) => tensor(x).to_type(ScalarType.BFloat16).to_type(ScalarType.Float32).item<float>();

    private static void AssertSame(Tensor expected, Tensor actual)
    {
        Assert.Equal((ScalarType.BFloat16, expected.size(0), expected.size(1)), (actual.dtype, actual.size(0), actual.size(1)));
        Assert.Equal(expected.contiguous().bytes.ToArray(), actual.bytes.ToArray());
    }
}
