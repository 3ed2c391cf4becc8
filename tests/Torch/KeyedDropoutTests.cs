// Shapes: B batch, H query heads, G key-value heads, T positions, S keys, D head dimension, W width.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

public class KeyedDropoutTests
{
    private const double Scale = 0.3;

    /// <summary>Philox4x32-10 against the known answers that its authors publish (Random123, kat_vectors).</summary>
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0u, 0u, new[] { 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u })]
    [InlineData(~0u, ~0u, ~0u, ~0u, ~0u, ~0u, new[] { 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu })]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u, new[] { 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u })]
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
        KeyedDropout dropout = new(0.3, Seed: 0x1234_5678_9abc_def0, First: 5, Place: 17);
        Tensor x = rand(shape).add(1).requires_grad_(), weight = randn(shape);

        Tensor y = FusedKernels.Dropout(x, dropout);
        Tensor gradient = autograd.grad([y.mul(weight).sum()], [x])[0]!;

        float[] factors = Factors(shape, dropout);
        float[] Times(Tensor values) => [.. values.detach().reshape(-1).data<float>().ToArray().Zip(factors, (value, factor) => value * factor)];
        Assert.Equal(Times(x), y.reshape(-1).data<float>().ToArray());
        Assert.Equal(Times(weight), gradient.reshape(-1).data<float>().ToArray());
    }

    [Fact]
    public void Parts_of_a_batch_drop_what_the_whole_drops()
    {
        using DisposeScope scope = NewDisposeScope();
        DropoutKey key = new(99);
        Tensor x = ones(4, 6, 70), whole = FusedKernels.Dropout(x, key.At(3, 0.5));
        Tensor part = FusedKernels.Dropout(x.narrow(0, 1, 2), (key with { First = 1 }).At(3, 0.5));
        Assert.True(whole.narrow(0, 1, 2).Equals(part));
        Assert.False(whole.narrow(0, 0, 2).Equals(part));
        Assert.False(whole.Equals(FusedKernels.Dropout(x, key.At(4, 0.5))));
        Assert.False(whole.Equals(FusedKernels.Dropout(x, key.Sibling.At(3, 0.5))));
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    public void As_many_are_dropped_as_should_be(double probability)
    {
        using DisposeScope scope = NewDisposeScope();
        const int Count = 1 << 20;
        Tensor y = FusedKernels.Dropout(ones(16, 64, 1024), new DropoutKey(4).At(0, probability));
        double dropped = y.eq(0).sum().item<long>() / (double)Count, error = Math.Sqrt(probability * (1 - probability) / Count);
        Assert.InRange(dropped, probability - 5 * error, probability + 5 * error);
        Assert.InRange(y.mean().item<float>(), 1 - 10 * error / (1 - probability), 1 + 10 * error / (1 - probability));
    }

    [Fact]
    public void Nothing_is_dropped_with_probability_0_and_1_is_none()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(2, 3, 4);
        Assert.True(x.Equals(FusedKernels.Dropout(x, default)));
        Assert.Contains("a probability of dropout is in [0, 1), and 1 is not", Assert.Throws<TorchException>(() => FusedKernels.Dropout(x, new(1, 0, 0, 0))).Message);
    }

    [Theory]
    [InlineData(4, 4, 64, 32, 1L << 40, 0)]
    [InlineData(4, 2, 77, 32, 1L << 40, 0)]
    [InlineData(2, 1, 200, 64, 20, 0)]
    [InlineData(2, 2, 130, 32, 1L << 40, 1L << 40)]
    public void Attention_drops_the_weights_that_the_reference_drops(int heads, int groups, int length, int width, long before, long after)
    {
        Assert.SkipUnless(PackedAttention.Runs(width, ScalarType.Float32), "this processor has no AVX-512");
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        KeyedDropout dropout = new DropoutKey(77, First: 2).At(9, 0.25);
        Tensor packed = randn([2, length, heads + 2 * groups, width], requires_grad: true), weight = randn(2, length, heads, width);
        (Tensor Result, Tensor Gradient) Run(Func<Tensor, Tensor> attend)
        {
            Tensor result = attend(packed);
            return (result, autograd.grad([result.mul(weight).sum()], [packed])[0]!);
        }
        Tensor Split(Tensor x, int start, int count) => x.narrow(2, start, count).transpose(1, 2);

        var expected = Run(x => Plain(Split(x, 0, heads), Split(x, heads, groups), Split(x, heads + groups, groups), before, after, dropout).transpose(1, 2));
        var band = Run(x => BandAttention.Attend(Split(x, 0, heads), Split(x, heads, groups), Split(x, heads + groups, groups), Scale, before, after, dropout).transpose(1, 2));
        var one = Run(x => PackedAttention.Attend(x, groups, Scale, before, after, dropout: dropout));
        var without = Run(x => PackedAttention.Attend(x, groups, Scale, before, after));

        foreach ((Tensor result, Tensor gradient) in new[] { band, one })
        {
            Assert.InRange(expected.Result.sub(result).abs().max().item<float>(), 0, 5e-6);
            Assert.InRange(expected.Gradient.sub(gradient).abs().max().item<float>(), 0, 5e-5);
        }
        Assert.True(expected.Result.sub(without.Result).abs().max().item<float>() > 0.1);
        if (!PackedAttention.Runs(width, ScalarType.BFloat16)) return;
        Tensor rounded = packed.detach().to_type(ScalarType.BFloat16).requires_grad_();
        Tensor low = PackedAttention.Attend(rounded, groups, Scale, before, after, dropout: dropout);
        Tensor slope = autograd.grad([low.mul(weight.to_type(ScalarType.BFloat16)).sum()], [rounded])[0]!;
        Assert.InRange(Distance(expected.Result, low), 0, 0.01);
        Assert.InRange(Distance(expected.Gradient, slope), 0, 0.012);
    }

    private static Tensor Plain(Tensor q, Tensor k, Tensor v, long before, long after, KeyedDropout dropout)
    {
        long sharing = q.size(1) / k.size(1), length = q.size(2);
        Tensor distance = arange(length).unsqueeze(1).sub(arange(length).unsqueeze(0)); // (T, S): query − key
        Tensor visible = distance.lt(before).logical_and(distance.ge(-after));
        Tensor scores = q.matmul(k.repeat_interleave(sharing, 1).transpose(2, 3)).mul(Scale).masked_fill(visible.logical_not(), float.NegativeInfinity);
        return FusedKernels.Dropout(nn.functional.softmax(scores, -1), dropout).matmul(v.repeat_interleave(sharing, 1));
    }

    private static double Distance(Tensor expected, Tensor actual) =>
        expected.sub(actual.to_type(ScalarType.Float32)).norm().item<float>() / expected.norm().item<float>();

    private static float[] Factors(long[] shape, KeyedDropout dropout)
    {
        long rows = shape[^2], width = shape[^1], heads = shape.Length == 4 ? shape[1] : 1;
        var factors = new float[shape.Aggregate((a, b) => a * b)];
        for (long index = 0; index < factors.Length; index++)
        {
            long at = index % width, row = index / width % rows, list = index / (width * rows) + dropout.First * heads;
            uint word = Philox(
                (uint)(at / 64 * 16 + at % 16), (uint)row, (uint)list, (uint)dropout.Place, (uint)dropout.Seed, (uint)(dropout.Seed >> 32))[at % 64 / 16];
            factors[index] = word < (uint)(dropout.Probability * 4294967296.0) ? 0 : (float)(1 / (1 - dropout.Probability));
        }
        return factors;
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
