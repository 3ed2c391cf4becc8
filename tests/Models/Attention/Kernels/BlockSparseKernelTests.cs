using TorchSharp;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Tests.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Kernels;

public class BlockSparseKernelTests
{
    private const int Batch = 2;

    /// <summary>Query heads, key-value heads, queries, keys.</summary>
    public static TheoryData<string, int, int, int, int> Sizes()
    {
        TheoryData<string, int, int, int, int> data = [];
        foreach (string name in PatternCases.All.Keys)
        foreach ((int heads, int groups, int queries, int keys) in
            ((int, int, int, int)[])[(4, 4, 150, 150), (4, 2, 150, 150), (4, 1, 31, 200), (2, 2, 1, 90)])
            data.Add(name, heads, groups, queries, keys);
        return data;
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void It_equals_the_reference_forward_and_in_gradients(string name, int heads, int groups, int queries, int keys)
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        Expect(Call(name, masks, heads, groups, new(keys - queries, queries), new(0, keys)));
    }

    public static MatrixTheoryData<string, bool, double?, bool> Rules() =>
        new(PatternCases.All.Keys, [false, true], [null, 2], [false, true]);

    [Theory]
    [MemberData(nameof(Rules))]
    public void It_takes_a_bias_that_is_learned_or_not_bounded_scores_and_documents(
        string name, bool learned, double? softCap, bool apart)
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        manual_seed(2);
        Tensor slopes = randn([4], requires_grad: learned);
        Tensor ids = arange(150).div(47).floor().to_type(ScalarType.Int64).unsqueeze(0).repeat(Batch, 1);
        ids.narrow(1, 140, 10).fill_(-1);
        using DocumentIds documents = new(ids, ids);
        AttentionCall call = Call(name, masks, 4, 2, new(0, 150), new(0, 150)) with
        {
            SoftCap = softCap,
            Bias = Distances(slopes),
            Documents = apart ? documents : null,
        };
        Expect(call, learned ? [slopes] : []);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    public void It_reads_a_cache_whose_sinks_stand_before_the_window(int queries)
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        AttentionCall call = Call("sliding with sinks", masks, 4, 2, new(60, queries), new(55, 3 + 5 + queries, Sinks: 3));
        Expect(call with { Bias = Distances(randn(4)) });
    }

    [Fact]
    public void It_leaves_padding_of_a_source_out()
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        Tensor filled = zeros([Batch, 40], ScalarType.Int64);
        filled.narrow(1, 33, 7).fill_(-1);
        using DocumentIds documents = new(null, filled);
        Expect(Call("full", masks, 4, 2, new(0, 12), new(0, 40)) with { Documents = documents });
    }

    [Fact]
    public void Dropping_weights_of_tiles_is_refused_with_the_way_out()
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        Assert.Equal(
            "block-sparse drops attention weights (dropout 0.1) only within a window, each document in one piece, on a processor with " +
            "AVX2 or NEON; set dropout to 0, or kernel to 'auto' or 'reference'",
            new BlockSparseKernel().WhyUnsupported(
                Call("sliding", masks, 2, 2, new(0, 4), new(0, 4)) with { Dropout = new(0.1, 0, 0, 0) }));
    }

    private static AttentionCall Call(string name, MaskStore masks, int heads, int groups, PositionSpan queries, PositionSpan keys)
    {
        manual_seed(3);
        return new(
            Leaf(heads, queries.Count), Leaf(groups, keys.Count), Leaf(groups, keys.Count), PatternCases.All[name].Options.Build(), queries,
            keys, 0.37, masks);
    }

    // −slope·distance for each head, as ALiBi adds it.
    private static ScoreBias Distances(Tensor slopes) => new((queries, keys) =>
        queries.Positions(CPU).unsqueeze(1).sub(keys.Positions(CPU)).to_type(ScalarType.Float32).div(10).mul(slopes.view(1, -1, 1, 1)));

    private static void Expect(AttentionCall call, params Tensor[] learned)
    {
        BlockSparseKernel kernel = new();
        Assert.Null(kernel.WhyUnsupported(call));
        Tensor[] inputs = [call.Query, call.Key, call.Value, .. learned];
        Tensor expected = new ReferenceKernel().Attend(call), actual = kernel.Attend(call);
        TensorAssert.Close(expected, actual, 5e-6);
        Tensor weight = randn(expected.shape);
        TensorAssert.CloseToScale(autograd.grad([expected], inputs, [weight]), autograd.grad([actual], inputs, [weight]), 2e-5);
    }

    private static Tensor Leaf(int heads, int positions) => randn(Batch, heads, positions, 8, requires_grad: true);
}
