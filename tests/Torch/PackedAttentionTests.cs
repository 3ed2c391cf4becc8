// Shapes: B batch, T positions, H query heads, G key-value heads, D head dimension.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

public class PackedAttentionTests
{
    private const double Scale = 0.3;

    /// <summary>Lengths around whole tiles of 64, odd ones too, shared heads; nothing, a window, or the past visible, forwards too.</summary>
    public static TheoryData<int, int, int, int, long, long> Cases()
    {
        TheoryData<int, int, int, int, long, long> data = [];
        (long, long)[] bands = [(BandAttention.Unbounded, BandAttention.Unbounded), (BandAttention.Unbounded, 0), (1, 0), (20, 0), (100, 99), (7, 150)];
        foreach ((int heads, int groups, int length, int width) in ((int, int, int, int)[])[(4, 4, 64, 32), (4, 2, 77, 32), (2, 1, 200, 96), (3, 3, 129, 64), (1, 1, 1, 128)])
        foreach ((long before, long after) in bands)
            data.Add(heads, groups, length, width, before, after);
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void In_float32_it_is_attention_within_a_band(int heads, int groups, int length, int width, long before, long after)
    {
        Assert.SkipUnless(PackedAttention.Runs(width, ScalarType.Float32), "this processor has no AVX-512");
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor packed = randn([2, length, heads + 2 * groups, width], requires_grad: true);
        Tensor exact = packed.detach().to_type(ScalarType.Float64).requires_grad_();
        Tensor weight = randn(2, length, heads, width);

        Tensor actual = PackedAttention.Attend(packed, groups, Scale, before, after), expected = Plain(exact, groups, before, after);
        Tensor have = autograd.grad([actual.mul(weight).sum()], [packed])[0]!, want = autograd.grad([expected.mul(weight).sum()], [exact])[0]!;

        // As near to float64 as libtorch's own products in float32, whichever library they come from.
        Assert.InRange(Distance(expected, actual), 0, 8e-7);
        Assert.InRange(Distance(want, have), 0, 1e-6);
        Assert.InRange(Farthest(expected, actual), 0, 5e-7 + 1.5 * Farthest(expected, Plain(packed, groups, before, after)));
        Assert.InRange(Farthest(want, have), 0, 3e-5);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void In_bfloat16_it_is_as_near_to_float64_as_rounding_lets_it(int heads, int groups, int length, int width, long before, long after)
    {
        Assert.SkipUnless(PackedAttention.Runs(width, ScalarType.BFloat16), "this processor has no products in bfloat16");
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor packed = randn([2, length, heads + 2 * groups, width]).to_type(ScalarType.BFloat16).requires_grad_();
        Tensor exact = packed.detach().to_type(ScalarType.Float64).requires_grad_();
        Tensor weight = randn(2, length, heads, width).to_type(ScalarType.BFloat16);

        Tensor actual = PackedAttention.Attend(packed, groups, Scale, before, after), expected = Plain(exact, groups, before, after);
        Tensor have = autograd.grad([actual.mul(weight).sum()], [packed])[0]!;
        Tensor want = autograd.grad([expected.mul(weight.to_type(ScalarType.Float64)).sum()], [exact])[0]!;

        Assert.Equal((ScalarType.BFloat16, ScalarType.BFloat16), (actual.dtype, have.dtype));
        // bfloat16 has 8 bits: one rounding is off by up to 1/256, in the mean by a third of that.
        Assert.InRange(Distance(expected, actual), 0, 0.004);
        Assert.InRange(Distance(want, have), 0, 0.006);
    }

    /// <summary>Documents of each of two sequences, among them one token alone, whole tiles of 64 and what ends within one; under several bands.</summary>
    public static TheoryData<ScalarType, int[], int[], long, long> Documents()
    {
        TheoryData<ScalarType, int[], int[], long, long> data = [];
        foreach (ScalarType type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
        foreach ((int[] first, int[] second) in ((int[], int[])[])[([30, 1, 64, 105], [200]), ([64, 136], [63, 2, 63, 72]), ([5, 5, 190], [100, 100])])
        foreach ((long before, long after) in ((long, long)[])[(BandAttention.Unbounded, 0), (BandAttention.Unbounded, BandAttention.Unbounded), (20, 0), (70, 3)])
            data.Add(type, first, second, before, after);
        return data;
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Documents_side_by_side_do_not_see_each_other(ScalarType type, int[] first, int[] second, long before, long after)
    {
        Assert.SkipUnless(PackedAttention.Runs(32, type), "this processor has no such products");
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor packed = randn(2, 200, 4, 32).to_type(type).requires_grad_(), exact = packed.detach().to_type(ScalarType.Float64).requires_grad_();
        Tensor weight = randn(2, 200, 2, 32).to_type(type);

        Tensor actual = PackedAttention.Attend(packed, 1, Scale, before, after, documents: SpanTensor.Of(first, second));
        Tensor expected = Plain(exact, 1, before, after, SpanTensor.Apart(first, second));
        Tensor have = autograd.grad([actual.mul(weight).sum()], [packed])[0]!;
        Tensor want = autograd.grad([expected.mul(weight.to_type(ScalarType.Float64)).sum()], [exact])[0]!;

        // What rounding lets through without documents.
        Assert.InRange(Distance(expected, actual), 0, type == ScalarType.Float32 ? 8e-7 : 0.004);
        Assert.InRange(Distance(want, have), 0, type == ScalarType.Float32 ? 1e-6 : 0.006);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Another_document_changes_no_bit_forward_or_backward_whatever_is_dropped(ScalarType type)
    {
        Assert.SkipUnless(PackedAttention.Runs(32, type), "this processor has no such products");
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor documents = SpanTensor.Of([30, 1, 64, 105]), packed = randn(1, 200, 6, 32), weight = randn(1, 200, 2, 32).to_type(type);
        (Tensor result, Tensor gradient) = Run();
        packed.narrow(1, 31, 64).mul_(3);
        (Tensor later, Tensor laterGradient) = Run();
        foreach ((Tensor old, Tensor now) in ((Tensor, Tensor)[])[(result, later), (gradient, laterGradient)])
        {
            TensorAssert.SameBits(old.narrow(1, 0, 31).to_type(ScalarType.Float32), now.narrow(1, 0, 31).to_type(ScalarType.Float32));
            TensorAssert.SameBits(old.narrow(1, 95, 105).to_type(ScalarType.Float32), now.narrow(1, 95, 105).to_type(ScalarType.Float32));
            Assert.False(old.narrow(1, 31, 64).Equals(now.narrow(1, 31, 64)));
        }

        (Tensor Result, Tensor Gradient) Run()
        {
            Tensor leaf = packed.to_type(type).clone().requires_grad_();
            Tensor made = PackedAttention.Attend(leaf, 2, Scale, dropout: new(0.3, 7, 0, 0), documents: documents);
            return (made.detach(), autograd.grad([made.mul(weight).sum()], [leaf])[0]!);
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32, 64, false, false)]
    [InlineData(ScalarType.Float32, 32, true, true)]
    [InlineData(ScalarType.BFloat16, 64, true, false)]
    [InlineData(ScalarType.BFloat16, 16, false, true)]
    public void Queries_and_keys_are_turned_by_their_positions(ScalarType type, int turned, bool interleaved, bool apart)
    {
        Assert.SkipUnless(PackedAttention.Runs(64, type), "this processor has no such products");
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        Tensor leaf = randn(2, 70, 6, 64).to_type(type).requires_grad_(), exact = leaf.detach().to_type(ScalarType.Float64).requires_grad_();
        // Of all sequences together, or of each by itself.
        Tensor angle = apart ? rand(2, 70, turned / 2).mul(6) : rand(70, turned / 2).mul(6), cos = angle.cos(), sin = angle.sin();
        Tensor table = interleaved ? stack([cos, sin], -1).flatten(-2) : cat([cos, cos, sin.neg(), sin], -1);
        Tensor weight = randn(2, 70, 2, 64).to_type(type);

        Tensor actual = PackedAttention.Attend(leaf.clone(), 2, Scale, turns: new(table, turned, interleaved));
        Tensor expected = Plain(Turned(exact, cos, sin, turned, interleaved), 2, BandAttention.Unbounded, 0);
        Tensor have = autograd.grad([actual.mul(weight).sum()], [leaf])[0]!;
        Tensor want = autograd.grad([expected.mul(weight.to_type(ScalarType.Float64)).sum()], [exact])[0]!;

        double most = type == ScalarType.Float32 ? 2e-6 : 0.008;
        Assert.InRange(Distance(expected, actual), 0, most);
        Assert.InRange(Distance(want, have), 0, most);
    }

    [Fact]
    public void What_is_out_of_sight_changes_no_bit_and_every_run_is_the_same()
    {
        Assert.SkipUnless(PackedAttention.Runs(32, ScalarType.BFloat16), "this processor has no products in bfloat16");
        using DisposeScope scope = NewDisposeScope();
        Tensor packed = randn(1, 150, 6, 32).to_type(ScalarType.BFloat16);
        Tensor before = PackedAttention.Attend(packed, 2, Scale, before: 30), again = PackedAttention.Attend(packed, 2, Scale, before: 30);
        packed.narrow(1, 100, 50).mul_(3);
        Tensor after = PackedAttention.Attend(packed, 2, Scale, before: 30);
        Assert.True(before.eq(again).all().item<bool>());
        Assert.True(before.narrow(1, 0, 100).eq(after.narrow(1, 0, 100)).all().item<bool>());
        Assert.False(before.narrow(1, 100, 50).eq(after.narrow(1, 100, 50)).all().item<bool>());
    }

    [Fact]
    public void What_it_cannot_take_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.False(PackedAttention.Runs(10, ScalarType.Float32));
        Assert.False(PackedAttention.Runs(16, ScalarType.BFloat16));
        Assert.False(PackedAttention.Runs(64, ScalarType.Float64));
        Assert.Throws<TorchException>(() => PackedAttention.Attend(randn(1, 20, 3, 10), 1, Scale));
        Assert.Throws<TorchException>(() => PackedAttention.Attend(randn(1, 20, 7, 32), 2, Scale));
        Assert.Throws<TorchException>(() => PackedAttention.Attend(randn(2, 20, 6, 32), 2, Scale, documents: SpanTensor.Of([20])));
    }

    private static double Farthest(Tensor expected, Tensor actual) =>
        actual.detach().to_type(ScalarType.Float64).sub(expected).abs().max().item<double>();

    private static double Distance(Tensor expected, Tensor actual) =>
        actual.detach().to_type(ScalarType.Float64).sub(expected).norm().item<double>() / Math.Max(1e-3, expected.norm().item<double>());

    // Queries and keys (B, T, 4, D) of two heads each, and values (B, T, 2, D) as they are.
    private static Tensor Turned(Tensor packed, Tensor cos, Tensor sin, int turned, bool interleaved)
    {
        Tensor[] parts = packed.split([4, 2], 2), heads = parts[0].split([turned, packed.size(3) - turned], -1);
        long batch = packed.size(0), length = packed.size(1), half = turned / 2;
        Tensor pairs = interleaved // (B, T, 4, R/2, 2)
            ? heads[0].reshape(batch, length, 4, half, 2)
            : heads[0].reshape(batch, length, 4, 2, half).transpose(-1, -2);
        (Tensor a, Tensor b) = (pairs.select(-1, 0), pairs.select(-1, 1));
        (cos, sin) = (cos.unsqueeze(-2), sin.unsqueeze(-2)); // (…, T, 1, R/2)
        Tensor both = stack([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], interleaved ? -1 : -2).flatten(-2);
        return cat([cat([both, heads[1]], -1), parts[1]], 2);
    }

    // (B, T, H + 2·G, D) → (B, T, H, D), in the type it is given.
    private static Tensor Plain(Tensor packed, int groups, long before, long after, Tensor? apart = null)
    {
        long heads = packed.size(2) - 2 * groups, length = packed.size(1);
        Tensor[] parts = [.. packed.split([heads, groups, groups], 2).Select(part => part.transpose(1, 2))]; // (B, H|G|G, T, D)
        Tensor key = parts[1].repeat_interleave(heads / groups, 1), value = parts[2].repeat_interleave(heads / groups, 1); // (B, H, T, D)
        Tensor distance = arange(length).unsqueeze(1).sub(arange(length)); // (T, T)
        Tensor hidden = distance.ge(before).logical_or(distance.lt(-after));
        if (apart is not null) hidden = hidden.logical_or(apart.unsqueeze(1)); // (B, 1, T, T)
        return parts[0].matmul(key.transpose(2, 3)).mul(Scale).masked_fill(hidden, double.NegativeInfinity).softmax(-1).matmul(value).transpose(1, 2);
    }
}
