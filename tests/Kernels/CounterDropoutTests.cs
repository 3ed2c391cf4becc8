// Shapes: B sequences, H heads, T rows, W numbers of a row.
using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed unsafe class CounterDropoutTests
{
    /// <summary>Philox4x32-10 against the known answers that its authors publish (Random123, kat_vectors).</summary>
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0u, 0u, new[] { 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u })]
    [InlineData(~0u, ~0u, ~0u, ~0u, ~0u, ~0u, new[] { 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu })]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u,
        new[] { 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u })]
    public void The_generator_of_these_tests_is_philox(uint a, uint b, uint c, uint d, uint low, uint high, uint[] expected) =>
        Assert.Equal(expected, Philox(a, b, c, d, low, high));

    [Theory]
    [InlineData(new long[] { 3, 5, 64 })]
    [InlineData(new long[] { 2, 7, 200 })]
    [InlineData(new long[] { 2, 3, 5, 33 })]
    [InlineData(new long[] { 1, 2, 300, 130 })]
    [InlineData(new long[] { 2, 1, 1 })]
    public void A_number_is_dropped_by_its_place_and_the_key(long[] shape)
    {
        using DisposeScope scope = NewDisposeScope();
        CounterDropout dropout = new(0.3, Seed: 0x1234_5678_9abc_def0, First: 5, Place: 17);
        Tensor x = rand(shape).add(1).requires_grad_(), weight = randn(shape);
        float[] factors = Factors(shape, dropout);
        KernelAssert.InEveryWidth(_ =>
        {
            Tensor y = CounterDropout.Apply(x, dropout);
            Tensor gradient = autograd.grad([y], [x], [weight])[0]!;

            Assert.Equal(Times(x), y.reshape(-1).data<float>().ToArray());
            Assert.Equal(Times(weight), gradient.reshape(-1).data<float>().ToArray());
            TensorAssert.Same(y.eq(0), CounterDropout.Apply(x.to(ScalarType.BFloat16), dropout).eq(0));
            TensorAssert.Same(y.eq(0), CounterDropout.Apply(x.to(ScalarType.Float64), dropout).eq(0));
        });

        float[] Times(Tensor values) =>
            [.. values.detach().reshape(-1).data<float>().ToArray().Zip(factors, (value, factor) => value * factor)];
    }

    [Theory]
    [InlineData(64, 0)]
    [InlineData(13, 70)]
    public void Tiles_have_the_factors_of_their_rows(int rows, int first)
    {
        const int Sequence = 2, Heads = 3, Head = 1, Block = 4, Stride = 64;
        CounterDropout dropout = new(0.4, Seed: -987654321987654321, First: 7, Place: 1L << 31);
        DropoutFactors factors = new(dropout);
        KernelAssert.InEveryWidth(_ =>
        {
            float[] tile = new float[64 * Stride];
            fixed (float* to = tile) factors.FillColumns(factors.List(Sequence, Heads, Head), (uint)first, rows, Block, to, Stride);
            for (int n = 0; n < 64; n++)
                for (int m = 0; m < rows; m++)
                    Assert.Equal(Factor(dropout, (7 + Sequence) * Heads + Head, first + m, Block * 64 + n), tile[n * Stride + m]);
        });
    }

    [Fact]
    public void Parts_of_a_batch_drop_what_the_whole_drops()
    {
        using DisposeScope scope = NewDisposeScope();
        DropoutKey key = new(99);
        Tensor x = ones(4, 6, 70), whole = CounterDropout.Apply(x, key.At(3, 0.5));
        Tensor part = CounterDropout.Apply(x.narrow(0, 1, 2), (key with { First = 1 }).At(3, 0.5));
        TensorAssert.Same(whole.narrow(0, 1, 2), part);
        Assert.False(whole.narrow(0, 0, 2).Equals(part));
        Assert.False(whole.Equals(CounterDropout.Apply(x, key.At(4, 0.5))));
        Assert.False(whole.Equals(CounterDropout.Apply(x, key.Sibling.At(3, 0.5))));
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    public void As_many_are_dropped_as_should_be(double probability)
    {
        using DisposeScope scope = NewDisposeScope();
        const int Count = 1 << 20;
        Tensor y = CounterDropout.Apply(ones(16, 64, 1024), new DropoutKey(4).At(0, probability));
        double dropped = y.eq(0).sum().item<long>() / (double)Count, error = Math.Sqrt(probability * (1 - probability) / Count);
        Assert.InRange(dropped, probability - 5 * error, probability + 5 * error);
        Assert.InRange(y.mean().item<float>(), 1 - 10 * error / (1 - probability), 1 + 10 * error / (1 - probability));
    }

    [Fact]
    public void Nothing_is_dropped_with_probability_0_and_1_is_none()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(2, 3, 4);
        TensorAssert.Same(x, CounterDropout.Apply(x, default));
        Assert.Contains("a probability of dropout is in [0, 1), and 1 is not",
            Assert.Throws<TorchException>(() => CounterDropout.Apply(x, new(1, 0, 0, 0))).Message);
        Assert.Throws<TorchException>(() => CounterDropout.Apply(randn(3), new(0.1, 0, 0, 0)));
        Assert.Equal([2, 0, 4], CounterDropout.Apply(empty(2, 0, 4), new(0.1, 0, 0, 0)).shape);
    }

    [Fact]
    public void Threads_change_no_bit_and_no_tensor_is_left_behind()
    {
        long[][] shapes = [[3, 50, 1000]];
        CounterDropout dropout = new(0.3, 1, 2, 3);
        KernelAssert.IsDeterministic(shapes, x => [CounterDropout.Apply(x[0], dropout)]);
        KernelAssert.LeavesNothing(
            shapes, x => [CounterDropout.Apply(x[0], dropout), CounterDropout.Apply(x[0].to(ScalarType.Float64), dropout)]);
        KernelAssert.KeepsNothingWithoutGradients(shapes, x => [CounterDropout.Apply(x[0], dropout)]);
    }

    private static float[] Factors(long[] shape, CounterDropout dropout)
    {
        long rows = shape[^2], width = shape[^1], heads = shape.Length == 4 ? shape[1] : 1;
        var factors = new float[shape.Aggregate((a, b) => a * b)];
        for (long i = 0; i < factors.Length; i++)
            factors[i] = Factor(dropout, i / (width * rows) + dropout.First * heads, i / width % rows, i % width);
        return factors;
    }

    private static float Factor(CounterDropout dropout, long list, long row, long at)
    {
        uint word = Philox((uint)(at / 64 * 16 + at % 16), (uint)row, (uint)list, (uint)dropout.Place, (uint)dropout.Seed,
            (uint)(dropout.Seed >> 32))[at % 64 / 16];
        return word < (uint)(dropout.Probability * 4294967296.0) ? 0 : (float)(1 / (1 - dropout.Probability));
    }

    private static uint[] Philox(uint a, uint b, uint c, uint d, uint low, uint high)
    {
        for (int round = 0; round < 10; round++)
        {
            ulong first = 0xD2511F53UL * a, second = 0xCD9E8D57UL * c;
            (a, b, c, d) = ((uint)(second >> 32) ^ b ^ low, (uint)second, (uint)(first >> 32) ^ d ^ high, (uint)first);
            (low, high) = (unchecked(low + 0x9E3779B9), unchecked(high + 0xBB67AE85));
        }
        return [a, b, c, d];
    }
}
