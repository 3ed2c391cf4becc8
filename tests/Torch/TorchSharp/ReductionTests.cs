using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class ReductionTests
{
    // 1 5 3
    // 4 2 6
    private static Tensor M => tensor([1f, 5f, 3f, 4f, 2f, 6f], [2, 3]);

    private static readonly Dictionary<string, Expectation> Table = new()
    {
        ["sum"] = new(() => M.sum(), [], [21]),
        ["sum dim"] = new(() => M.sum(1), [2], [9, 12]),
        ["sum keepdim"] = new(() => M.sum(-1, keepdim: true), [2, 1], [9, 12]),
        ["sum dims"] = new(() => M.view(1, 2, 3).sum([0, 2]), [2], [9, 12]),
        ["sum dim 0"] = new(() => M.sum(0), [3], [5, 7, 9]),
        ["mean dim 0"] = new(() => M.mean(0), [3], [2.5, 3.5, 4.5]),
        ["norm dim"] = new(() => tensor([3f, 4f, 0f, 1f], [2, 2]).norm(1), [2], [5, 1]),
        ["mean"] = new(() => M.mean(), [], [3.5]),
        ["mean dim"] = new(() => M.mean([0]), [3], [2.5, 3.5, 4.5]),
        ["mean type"] = new(() => tensor([1L, 2L]).mean(type: ScalarType.Float64), [], [1.5]),
        ["var"] = new(() => M.var(1), [2], [4, 4]),
        ["var biased"] = new(() => M.var(1, unbiased: false, keepdim: true), [2, 1], [8 / 3.0, 8 / 3.0]),
        ["std"] = new(() => M.std(1), [2], [2, 2]),
        ["norm"] = new(() => tensor([3f, 4f]).norm(), [], [5]),
        ["norm 1"] = new(() => tensor([3f, -4f]).norm(p: 1), [], [7]),
        ["max"] = new(() => M.max(), [], [6]),
        ["min"] = new(() => M.min(), [], [1]),
        ["max dim"] = new(() => M.max(1).values, [2], [5, 6]),
        ["max dim where"] = new(() => M.max(1).indexes, [2], [1, 2]),
        ["min dim"] = new(() => M.min(0, keepdim: true).values, [1, 3], [1, 2, 3]),
        ["min dim where"] = new(() => M.min(0).indexes, [3], [0, 1, 0]),
        ["argmax"] = new(() => M.argmax(), [], [5]),
        ["argmax dim"] = new(() => M.argmax(1), [2], [1, 2]),
        ["all"] = new(() => M.gt(0).all(), [], [1]),
        ["any"] = new(() => M.gt(6).any(), [], [0]),
        ["topk"] = new(() => M.topk(2).values, [2, 2], [5, 3, 6, 4]),
        ["topk where"] = new(() => M.topk(2).indexes, [2, 2], [1, 2, 2, 0]),
        ["topk smallest"] = new(() => M.topk(1, largest: false).values, [2, 1], [1, 2]),
        ["sort"] = new(() => M.sort().Values, [2, 3], [1, 3, 5, 2, 4, 6]),
        ["sort descending"] = new(() => M.sort(0, descending: true).Indices, [2, 3], [1, 0, 1, 0, 1, 0]),
        ["sort stable"] = new(() => tensor([1L, 0L, 1L, 0L]).sort(0, stable: true).Indices, [4], [1, 3, 0, 2]),
        ["bincount"] = new(() => tensor([3L, 1L, 3L]).bincount(minlength: 5), [5], [0, 1, 0, 2, 0]),
        ["bincount weights"] = new(() => tensor([2L, 0L, 2L]).bincount(tensor([1f, 2f, 3f])), [3], [2, 0, 4]),
        ["cumsum"] = new(() => M.cumsum(1), [2, 3], [1, 6, 9, 4, 6, 12]),
        ["histc"] = new(() => M.histc(5, 1, 6), [5], [1, 1, 1, 1, 2]),
        ["logsumexp"] = new(() => tensor([1000f, 1000f]).logsumexp(0), [], [1000 + Math.Log(2)]),
        ["softmax"] = new(() => softmax(tensor([0f, (float)Math.Log(3)]), 0), [2], [0.25, 0.75]),
        ["log_softmax"] = new(() => log_softmax(tensor([0f, (float)Math.Log(3)]), 0), [2], [Math.Log(0.25), Math.Log(0.75)]),
        ["matmul"] = new(() => matmul(M, M.mT), [2, 2], [35, 32, 32, 56]),
        ["mm"] = new(() => M.mm(eye(3)), [2, 3], [1, 5, 3, 4, 2, 6]),
        ["bmm"] = new(() => M.view(2, 1, 3).bmm(M.view(2, 3, 1)), [2, 1, 1], [35, 56]),
        ["matmul broadcast"] = new(() => M.view(2, 1, 3).matmul(ones(3, 1)), [2, 1, 1], [9, 12]),
        ["einsum"] = new(() => einsum("ij,kj->ik", M, M), [2, 2], [35, 32, 32, 56]),
        ["linear"] = new(() => nn.functional.linear(M, ones(1, 3), tensor([0.5f])), [2, 1], [9.5, 12.5]),
        ["conv1d"] = new(() => nn.functional.conv1d(M.view(1, 2, 3), tensor([1f, 10f, 1f, 0f], [1, 2, 2]), tensor([0.5f])), [1, 1, 2], [55.5, 37.5]),
        ["conv1d depthwise"] = new(() => nn.functional.conv1d(M.view(1, 2, 3), tensor([1f, 10f, 2f, 1f], [2, 1, 2]), padding: 1, groups: 2), [1, 2, 4],
            [10, 51, 35, 3, 4, 10, 10, 12]),
        ["embedding"] = new(() => Functional.Embedding(tensor([1L, 1L]), M), [2, 3], [4, 2, 6, 4, 2, 6]),
        ["layer_norm"] = new(() => nn.functional.layer_norm(tensor([1f, 3f]), [2], tensor([2f, 2f]), tensor([1f, 1f]), eps: 0), [2], [-1, 3]),
        ["rms_norm"] = new(() => Functional.RmsNorm(tensor([1f, 7f]), [2], tensor([5f, 5f]), epsilon: 0), [2], [1, 7]),
        ["dropout off"] = new(() => nn.functional.dropout(M, 0.5, training: false), [2, 3], [1, 5, 3, 4, 2, 6]),
        ["cross_entropy"] = new(() => nn.functional.cross_entropy(zeros(2, 4), tensor([0L, 3L])), [], [Math.Log(4)]),
        ["cross_entropy sum"] = new(() => nn.functional.cross_entropy(zeros(2, 4), tensor([0L, -100L]), reduction: nn.Reduction.Sum), [], [Math.Log(4)]),
        ["cross_entropy none"] = new(() => nn.functional.cross_entropy(zeros(2, 4), tensor([7L, 1L]), ignore_index: 7, reduction: nn.Reduction.None), [2], [0, Math.Log(4)]),
        ["cross_entropy smoothed"] = new(() => nn.functional.cross_entropy(tensor([0f, (float)Math.Log(3)], [1, 2]), tensor([1L]), label_smoothing: 0.5), [],
            [-(0.75 * Math.Log(0.75) + 0.25 * Math.Log(0.25))]),
        ["nll_loss"] = new(() => nn.functional.nll_loss(tensor([-1f, -2f], [1, 2]), tensor([1L])), [], [2]),
    };

    public static TheoryData<string> Names => [.. Table.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Values_are_those_worked_out_by_hand(string name) => Table[name].Check(1e-4);

    [Fact]
    public void Equality_is_of_shape_and_values()
    {
        using var scope = NewDisposeScope();
        Assert.True(M.Equals(M));
        Assert.False(M.Equals(M.view(3, 2)));
        Assert.True(M.allclose(M + 1e-7));
        Assert.False(M.allclose(M + 1e-3));
        Assert.False((M / 0 * 0).allclose(M / 0 * 0));
        Assert.True((M / 0 * 0).allclose(M / 0 * 0, equal_nan: true));
    }

    [Fact]
    public void Dropout_keeps_the_mean_and_scales_what_is_left()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var dropped = nn.functional.dropout(ones(100_000), 0.25);
        Assert.Equal([0, 4 / 3.0], dropped.data<float>().ToArray().Distinct().Order().Select(value => Math.Round(value, 6)), (a, b) => Math.Abs(a - b) < 1e-5);
        Assert.InRange(dropped.mean().ToSingle(), 0.98f, 1.02f);
    }
}
