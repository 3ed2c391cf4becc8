// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D head dimension.
using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public class BlockSparseAttentionTests
{
    private const int Batch = 2, Heads = 4, Groups = 2, Queries = 12, Keys = 15, Width = 8;

    // Queries 0…5 and 6…11 are two tiles over nine keys each; the second round gives each query further keys.
    private static readonly long[][] FirstKeys = [[0, 1, 2, 3, 4, 5, 6, 7, 14], [8, 1, 0, 3, 4, 9, 6, 7, 2]];
    private static readonly long[][] SecondKeys = [[8, 10], [10, 5]];

    public static TheoryData<double, bool, bool, bool> Rules()
    {
        TheoryData<double, bool, bool, bool> data = [];
        foreach (double softCap in (double[])[0, 1.5])
        foreach (bool documents in (bool[])[false, true])
        foreach (bool bias in (bool[])[false, true])
        foreach (bool learned in bias ? (bool[])[false, true] : [false])
            data.Add(softCap, documents, bias, learned);
        return data;
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void It_is_the_softmax_over_the_pairs_of_all_tiles(double softCap, bool documents, bool bias, bool learned)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        Tensor query = randn(Batch, Queries, Heads, Width, requires_grad: true).transpose(1, 2);
        Tensor key = randn([Batch, Groups, Keys, Width], requires_grad: true),
            value = randn([Batch, Groups, Keys, Width], requires_grad: true);
        Tensor table = randn([Heads, 9], requires_grad: learned), mask = FirstMask();
        var ofDocuments = (Queries: Documents(Queries), Keys: Documents(Keys));
        DistanceBias added = new(table, -3, arange(Queries).add(3), arange(Keys));

        Tensor actual = BlockSparseAttention.Attend(
            query, key, value, Tiles(mask), 0.4, softCap, documents ? ofDocuments : null, bias ? added : null);
        Tensor hidden = Hidden(mask);
        // (B, 1, T, S)
        if (documents) hidden = hidden.logical_or(ofDocuments.Queries.unsqueeze(2).ne(ofDocuments.Keys.unsqueeze(1)).unsqueeze(1));
        Tensor expected = Plain(query, key, value, hidden, softCap, bias ? added : null);

        TensorAssert.Close(expected, actual, 2e-6);
        Tensor weight = randn(expected.shape);
        Tensor[] inputs = learned ? [query, key, value, table] : [query, key, value];
        IList<Tensor?> want = autograd.grad([expected.mul(weight).sum()], inputs), have = autograd.grad([actual.mul(weight).sum()], inputs);
        TensorAssert.Close(want, have, 2e-5);
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Kernel_and_composed_form_agree_for_each_width_of_vectors(double softCap, bool documents, bool bias, bool learned)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(9);
        // A tile of 70 queries and 150 keys under a causal mask, then all queries on four keys: several blocks, and ends that fill no
        // vector.
        const int Long = 70, Longer = 150;
        Tensor mask = zeros(Long, Longer).masked_fill(
            ones(Long, Longer, dtype: ScalarType.Bool).triu(Longer - Long - 60), float.NegativeInfinity);
        AttentionTiles[] tiles =
        [
            new(arange(Long).view(1, Long), randperm(Longer).view(1, Longer), mask, Joins: false),
            new(arange(Long).view(2, Long / 2), arange(Longer, Longer + 8).view(2, 4), null, Joins: true),
        ];
        (Tensor, Tensor)? ofDocuments = documents
            ? (arange(Long).div(30).floor().to(ScalarType.Int64).unsqueeze(0).repeat(2, 1),
                arange(Longer + 8).div(60).floor().to(ScalarType.Int64).unsqueeze(0).repeat(2, 1))
            : null;
        Tensor query = randn(2, 4, Long, 16), key = randn(2, 2, Longer + 8, 16), value = randn(2, 2, Longer + 8, 32), table = randn(4, 40);
        Tensor[] Run(ScalarType type)
        {
            Tensor[] inputs =
            [
                .. new[] { query, key, value }.Select(input => input.to(type).clone().requires_grad_()),
                table.clone().requires_grad_(learned),
            ];
            Tensor result = BlockSparseAttention.Attend(
                inputs[0], inputs[1], inputs[2], tiles, 0.3, softCap, ofDocuments,
                bias ? new(inputs[3], -10, arange(Long), arange(Longer + 8)) : null);
            Tensor weights = linspace(-1, 1, result.numel()).cos().view(result.shape).to(type);
            return [result, .. autograd.grad([result], learned ? inputs : inputs[..3], [weights])];
        }
        Tensor[] expected = Run(ScalarType.Float64);
        foreach (int lanes in (int[])[4, 8, 16])
            KernelAssert.WithLanes(
                lanes, () => TensorAssert.CloseToScale(expected, Run(ScalarType.Float32), 5e-6, what: $"with {lanes} lanes"));
        TensorAssert.CloseToScale(expected, Run(ScalarType.BFloat16), 0.03);
    }

    [Fact]
    public void Threads_do_not_change_a_bit_and_no_tensor_is_left_behind()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor mask = FirstMask();
        long[][] shapes = [[Batch, Heads, Queries, Width], [Batch, Groups, Keys, Width], [Batch, Groups, Keys, Width], [Heads, 9]];
        Tensor[] Attend(Tensor[] inputs)
        {
            using DisposeScope inner = NewDisposeScope();
            return
            [
                BlockSparseAttention.Attend(
                    inputs[0], inputs[1], inputs[2], Tiles(mask), 0.4, 1.5, (Documents(Queries), Documents(Keys)),
                    new(inputs[3], -3, arange(Queries), arange(Keys))).MoveToOuterDisposeScope(),
            ];
        }
        KernelAssert.IsDeterministic(shapes, Attend);
        KernelAssert.LeavesNothing(shapes, Attend);
        KernelAssert.KeepsNothingWithoutGradients(shapes, Attend);
    }

    [Fact]
    public void Widths_that_no_vector_fits_run_composed()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = randn(1, 2, Queries, 3), key = randn(1, 2, Keys, 3);
        Assert.False(BlockSparseAttention.IsSupported(query, key, key));
        Tensor padded = BlockSparseAttention.Attend(
            nn.functional.pad(query, (0, 1)), nn.functional.pad(key, (0, 1)), nn.functional.pad(key, (0, 1)), Tiles(FirstMask()), 1);
        TensorAssert.CloseToScale(padded.narrow(3, 0, 3), BlockSparseAttention.Attend(query, key, key, Tiles(FirstMask()), 1), 1e-6);
    }

    [Fact]
    public void Rows_that_are_not_there_are_named()
    {
        using DisposeScope scope = NewDisposeScope();
        AttentionTiles tiles = new(arange(4).view(1, 4), arange(2, 6).view(1, 4), null, Joins: false);
        var failure = Assert.Throws<TorchException>(
            () => BlockSparseAttention.Attend(randn(1, 1, 4, 8), randn(1, 1, 4, 8), randn(1, 1, 4, 8), [tiles], 1));
        Assert.Contains("row 4 of 4", failure.Message);
    }

    [Fact]
    public void Plain_products_give_what_the_kernel_gives()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(6);
        Tensor query = randn(Batch, Heads, Queries, Width), key = randn(Batch, Groups, Keys, Width),
            value = randn(Batch, Groups, Keys, Width);
        Tensor single = BlockSparseAttention.Attend(query, key, value, Tiles(FirstMask()), 0.4);
        // No kernel of libtorch's is asked for float64: the same rules in plain products.
        Tensor twice = BlockSparseAttention.Attend(
            query.to_type(ScalarType.Float64), key.to_type(ScalarType.Float64), value.to_type(ScalarType.Float64), Tiles(FirstMask()), 0.4);
        Assert.Equal(ScalarType.Float64, twice.dtype);
        TensorAssert.Close(twice, single, 1e-6);
    }

    [Fact]
    public void A_query_that_sees_nothing_gives_zero_and_has_no_gradient()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = randn([1, 1, 3, Width], requires_grad: true), key = randn([1, 1, 3, Width], requires_grad: true);
        Tensor mask = zeros(2, 3);
        mask.narrow(0, 1, 1).fill_(float.NegativeInfinity);
        AttentionTiles tiles = new(tensor((long[])[0, 1]).view(1, 2), tensor((long[])[0, 1, 2]).view(1, 3), mask, Joins: false);
        Tensor result = BlockSparseAttention.Attend(query, key, key, [tiles], 1);
        TensorAssert.Zero(result.narrow(2, 1, 2));
        result.sum().backward();
        TensorAssert.Zero(query.grad!.narrow(2, 1, 2));
        Assert.True(key.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void Gradients_are_the_same_on_every_run()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(8);
        Tensor query = randn([Batch, Heads, Queries, Width], requires_grad: true),
            key = randn([Batch, Groups, Keys, Width], requires_grad: true);
        IList<Tensor> once = Gradients(), again = Gradients();
        TensorAssert.Same(once, again);

        IList<Tensor> Gradients() =>
            autograd.grad([BlockSparseAttention.Attend(query, key, key, Tiles(FirstMask()), 1).sum()], [query, key]);
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_named()
    {
        using DisposeScope scope = NewDisposeScope();
        var failure = Assert.Throws<TorchException>(
            () => BlockSparseAttention.Attend(randn(1, 3, 4, 8), randn(1, 2, 4, 8), randn(1, 2, 4, 8), [], 1));
        Assert.Contains("query [1, 3, 4, 8], key [1, 2, 4, 8]", failure.Message);
    }

    private static AttentionTiles[] Tiles(Tensor mask) =>
    [
        new(arange(Queries).view(2, 6), Table(FirstKeys), mask, Joins: false),
        new(arange(Queries).view(2, 6), Table(SecondKeys), null, Joins: true),
    ];

    private static Tensor FirstMask()
    {
        Tensor mask = zeros(6, 9).masked_fill(ones(6, 9, dtype: ScalarType.Bool).triu(5), float.NegativeInfinity);
        mask.narrow(0, 4, 1).fill_(float.NegativeInfinity); // this query sees only what the second round gives it
        return mask;
    }

    private static Tensor Hidden(Tensor mask)
    {
        bool[] hidden = new bool[Queries * Keys];
        Array.Fill(hidden, true);
        float[] first = mask.reshape(-1).data<float>().ToArray();
        for (int query = 0; query < Queries; query++)
        {
            for (int column = 0; column < 9; column++)
                hidden[query * Keys + FirstKeys[query / 6][column]] = first[query % 6 * 9 + column] != 0;
            foreach (long key in SecondKeys[query / 6]) hidden[query * Keys + key] = false;
        }
        return tensor(hidden).view(1, 1, Queries, Keys);
    }

    private static Tensor Plain(Tensor query, Tensor key, Tensor value, Tensor hidden, double softCap, DistanceBias? bias)
    {
        Tensor scores = query.matmul(key.repeat_interleave(Heads / Groups, 1).transpose(2, 3)).mul(0.4); // (B, H, T, S)
        if (softCap > 0) scores = scores.div(softCap).tanh().mul(softCap);
        if (bias is not null)
        {
            // (T, S)
            Tensor distance = bias.QueryPositions.unsqueeze(1).sub(bias.KeyPositions.unsqueeze(0)).sub(bias.Lowest).clamp(
                0, bias.Table.shape[1] - 1);
            scores = scores.add(bias.Table.index_select(1, distance.reshape(-1)).view(Heads, Queries, Keys));
        }
        Tensor weights = scores.masked_fill(hidden, float.NegativeInfinity).softmax(-1);
        // A row without a visible key is 0/0 in the formula; the product gives 0.
        weights = weights.masked_fill(hidden, 0);
        return weights.matmul(value.repeat_interleave(Heads / Groups, 1));
    }

    private static Tensor Documents(int count) => arange(count).div(7).floor().to_type(ScalarType.Int64).unsqueeze(0).repeat(Batch, 1);

    private static Tensor Table(long[][] rows) => tensor(rows.SelectMany(row => row).ToArray()).view(rows.Length, rows[0].Length);
}
