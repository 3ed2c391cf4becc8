// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D head dimension.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

public class BandAttentionTests
{
    private const double Scale = 0.3;

    /// <summary>Lengths around whole tiles of 64, shared heads, narrow and wide heads; nothing, a window, or the past visible, forwards too.</summary>
    public static TheoryData<int, int, int, int, long, long> Cases()
    {
        TheoryData<int, int, int, int, long, long> data = [];
        (long, long)[] bands = [(BandAttention.Unbounded, BandAttention.Unbounded), (BandAttention.Unbounded, 0), (1, 0), (20, 0), (64, 0), (100, 99), (7, 150)];
        foreach ((int heads, int groups, int length, int width) in ((int, int, int, int)[])[(4, 4, 64, 32), (4, 2, 77, 16), (2, 1, 200, 48), (3, 3, 129, 64), (1, 1, 1, 128)])
        foreach ((long before, long after) in bands)
            data.Add(heads, groups, length, width, before, after);
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void It_is_the_softmax_over_the_band(int heads, int groups, int length, int width, long before, long after)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        // Heads of a token side by side in memory, as projections leave them.
        Tensor query = randn(2, length, heads, width).transpose(1, 2).requires_grad_();
        Tensor key = randn(2, length, groups, width).transpose(1, 2).requires_grad_(), value = randn(2, length, groups, width).transpose(1, 2).requires_grad_();
        Assert.SkipUnless(BandAttention.Runs(query, key, value), "this processor has no AVX-512");

        Tensor actual = BandAttention.Attend(query, key, value, Scale, before, after), expected = Plain(query, key, value, before, after);

        Assert.InRange(expected.sub(actual).abs().max().item<float>(), 0, 3e-6);
        Tensor weight = randn(expected.shape);
        Tensor[] inputs = [query, key, value];
        IList<Tensor?> want = autograd.grad([expected.mul(weight).sum()], inputs), have = autograd.grad([actual.mul(weight).sum()], inputs);
        for (int i = 0; i < inputs.Length; i++) Assert.InRange(want[i]!.sub(have[i]!).abs().max().item<float>(), 0, 3e-5);
    }

    [Fact]
    public void Queries_may_be_fewer_or_more_than_the_keys_they_all_see()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = randn(1, 2, 90, 32), key = randn(1, 2, 33, 32), value = randn(1, 2, 33, 32);
        Assert.SkipUnless(BandAttention.Runs(query, key, value), "this processor has no AVX-512");
        Tensor actual = BandAttention.Attend(query, key, value, Scale, after: BandAttention.Unbounded);
        Assert.InRange(Plain(query, key, value, BandAttention.Unbounded, BandAttention.Unbounded).sub(actual).abs().max().item<float>(), 0, 3e-6);
    }

    [Fact]
    public void Of_a_padded_source_only_what_is_filled_is_seen()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        int[] filled = [100, 3, 0];
        Tensor query = randn([3, 4, 70, 32], requires_grad: true), key = randn([3, 2, 100, 32], requires_grad: true), value = randn([3, 2, 100, 32], requires_grad: true);
        Assert.SkipUnless(BandAttention.Runs(query, key, value), "this processor has no AVX-512");
        Tensor documents = stack([.. filled.Select(count => tensor(Enumerable.Repeat((int[])[0, count], 70).SelectMany(span => span).ToArray(), [70, 2]))]);
        Tensor actual = BandAttention.Attend(query, key, value, Scale, after: BandAttention.Unbounded, documents: documents), weight = randn(actual.shape);
        Tensor[] inputs = [query, key, value];
        IList<Tensor?> have = autograd.grad([actual.mul(weight).sum()], inputs);
        for (int b = 0; b < 2; b++)
        {
            Tensor[] alone = [query.narrow(0, b, 1).detach().requires_grad_(), .. ((Tensor[])[key, value]).Select(one => one.narrow(0, b, 1).narrow(2, 0, filled[b]).detach().requires_grad_())];
            Tensor expected = Plain(alone[0], alone[1], alone[2], BandAttention.Unbounded, BandAttention.Unbounded);
            Assert.InRange(expected.sub(actual.narrow(0, b, 1)).abs().max().item<float>(), 0, 3e-6);
            IList<Tensor?> want = autograd.grad([expected.mul(weight.narrow(0, b, 1)).sum()], alone);
            for (int i = 0; i < 3; i++)
            {
                Tensor found = have[i]!.narrow(0, b, 1);
                Assert.InRange(want[i]!.sub(i == 0 ? found : found.narrow(2, 0, filled[b])).abs().max().item<float>(), 0, 3e-5);
                if (i > 0 && filled[b] < 100) Assert.Equal(0, found.narrow(2, filled[b], 100 - filled[b]).abs().max().item<float>());
            }
        }
        // Nothing seen is nothing given.
        Assert.Equal(0, actual.select(0, 2).abs().max().item<float>());
        Assert.All(have, gradient => Assert.Equal(0, gradient!.select(0, 2).abs().max().item<float>()));
    }

    [Fact]
    public void What_is_out_of_sight_changes_no_bit()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = randn(1, 2, 150, 32), key = randn(1, 2, 150, 32), value = randn(1, 2, 150, 32);
        Assert.SkipUnless(BandAttention.Runs(query, key, value), "this processor has no AVX-512");
        Tensor before = BandAttention.Attend(query, key, value, Scale, before: 30);
        foreach (Tensor changed in (Tensor[])[key, value]) changed.narrow(2, 100, 50).mul_(3);
        Tensor after = BandAttention.Attend(query, key, value, Scale, before: 30);
        Assert.True(before.narrow(2, 0, 100).eq(after.narrow(2, 0, 100)).all().item<bool>());
        Assert.False(before.narrow(2, 100, 50).eq(after.narrow(2, 100, 50)).all().item<bool>());
    }

    [Fact]
    public void Large_scores_overflow_nothing_and_a_value_that_is_no_number_shows()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = randn(1, 1, 70, 16).mul(100), key = randn(1, 1, 70, 16).mul(100), value = randn(1, 1, 70, 16);
        Assert.SkipUnless(BandAttention.Runs(query, key, value), "this processor has no AVX-512");
        Assert.True(BandAttention.Attend(query, key, value, Scale).isfinite().all().item<bool>());
        key.select(2, 69).fill_(double.NaN);
        Tensor poisoned = BandAttention.Attend(query, key, value, Scale);
        Assert.True(poisoned.select(2, 69).isnan().all().item<bool>());
        Assert.True(poisoned.narrow(2, 0, 69).isfinite().all().item<bool>());
    }

    [Fact]
    public void What_it_cannot_take_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor odd = randn(1, 1, 20, 10), twice = randn([1, 1, 20, 16], dtype: ScalarType.Float64);
        Assert.False(BandAttention.Runs(odd, odd, odd));
        Assert.False(BandAttention.Runs(twice, twice, twice));
        Assert.Throws<TorchException>(() => BandAttention.Attend(odd, odd, odd, Scale));
    }

    private static Tensor Plain(Tensor query, Tensor key, Tensor value, long before, long after)
    {
        long sharing = query.size(1) / key.size(1);
        (key, value) = (key.repeat_interleave(sharing, 1), value.repeat_interleave(sharing, 1));
        Tensor distance = arange(query.size(2)).unsqueeze(1).sub(arange(key.size(2))); // (T, S)
        Tensor hidden = distance.ge(before).logical_or(distance.lt(-after));
        return query.matmul(key.transpose(2, 3)).mul(Scale).masked_fill(hidden, double.NegativeInfinity).softmax(-1).matmul(value);
    }
}
