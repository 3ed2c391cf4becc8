using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention;

/// <summary>Scalable softmax and temperature against their formulas.</summary>
public class QueryScalingTests
{
    [Fact]
    public void Temperature_follows_the_formula_of_Llama_4()
    {
        using DisposeScope scope = NewDisposeScope();
        using QueryTemperature temperature = new(new(), 4);
        int[] positions = [0, 8190, 8191, 8192, 16383, 100_000];
        foreach (int position in positions)
        {
            double expected = 1 + 0.1 * Math.Log(1 + Math.Floor((position + 1) / 8192.0));
            Assert.Equal(expected, temperature.Apply(ones(1, 2, 1, 3), Models.At(position)).max().item<float>(), 1e-6);
        }
        Assert.Equal(1, temperature.Apply(ones(1, 1, 1, 1), Models.At(8190)).item<float>());
        Assert.NotEqual(1, temperature.Apply(ones(1, 1, 1, 1), Models.At(8191)).item<float>());
    }

    [Fact]
    public void Temperature_follows_each_tokens_own_position()
    {
        using DisposeScope scope = NewDisposeScope();
        using QueryTemperature temperature = new(new() { Floor = 2, Scale = 1 }, 4);
        using AttentionContext context = new() { Positions = tensor([0L, 1, 7, 3], [2, 2]), PositionLimit = 8 };
        Tensor factors = temperature.Apply(ones(2, 3, 2, 5), context); // (B, H, T, D)
        double[] expected = [1, 1 + Math.Log(2), 1 + Math.Log(5), 1 + Math.Log(3)];
        for (int row = 0; row < 2; row++)
        for (int column = 0; column < 2; column++)
        {
            Tensor own = factors.select(0, row).select(1, column); // (H, D)
            Assert.Equal(expected[2 * row + column], own.min().item<float>(), 1e-6);
            Assert.Equal(expected[2 * row + column], own.max().item<float>(), 1e-6);
        }
    }

    /// <summary>First query, queries, first key, keys.</summary>
    public static TheoryData<int, int, int, int> Spans() =>
        new() { { 0, 9, 0, 9 }, { 5, 3, 0, 8 }, { 8, 1, 0, 9 }, { 300, 1, 0, 301 }, { 0, 600, 0, 600 } };

    [Theory]
    [MemberData(nameof(Spans))]
    public void Queries_grow_with_the_logarithm_of_the_keys_they_see(int firstQuery, int queries, int firstKey, int keys)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (AttentionPattern pattern in (AttentionPattern[])[new CausalPattern(), new FullPattern(), new EverySecond()])
        {
            using ScalableSoftmax scaling = new(2, pattern, 16);
            Assert.Equal([0.43f, 0.43f], scaling.Scale.data<float>().ToArray());
            using (no_grad()) scaling.Scale.copy_(tensor([0.5f, 2f]));
            using MaskStore masks = new();
            AttentionCall call = new(
                ones(1, 2, queries, 3), ones(1, 2, keys, 3), ones(1, 2, keys, 3), pattern, new(firstQuery, queries), new(firstKey, keys), 1,
                masks);
            using AttentionContext context = new() { PositionLimit = firstQuery + queries };
            Tensor visible = pattern.Mask(call.Queries, call.Keys, CPU).sum(-1).to_type(ScalarType.Float32).log(); // (T)
            Tensor expected = stack([visible.mul(0.5), visible.mul(2)]).view(1, 2, queries, 1).expand(1, 2, queries, 3);
            Assert.InRange(Models.LargestDifference(expected, scaling.Apply(call, context)), 0, 1e-6);
        }
    }

    [Fact]
    public void Keys_of_other_documents_do_not_count()
    {
        using DisposeScope scope = NewDisposeScope();
        using ScalableSoftmax scaling = new(1, new CausalPattern(), 16);
        using (no_grad()) scaling.Scale.fill_(1);
        using MaskStore masks = new();
        Tensor ids = tensor([0L, 0, 0, 1, 1, -1], [1, 6]);
        using DocumentIds documents = new(ids, ids);
        AttentionCall call = new(
            ones(1, 1, 6, 1), ones(1, 1, 6, 1), ones(1, 1, 6, 1), new CausalPattern(), new(0, 6), new(0, 6), 1,
            masks) { Documents = documents };
        using AttentionContext context = new() { PositionLimit = 6 };
        float[] actual = scaling.Apply(call, context).reshape(-1).data<float>().ToArray();
        int[] seen = [1, 2, 3, 1, 2, 1];
        for (int i = 0; i < 6; i++) Assert.Equal(Math.Log(seen[i]), actual[i], 1e-6);
    }

    [Fact]
    public void The_learned_scale_is_part_of_the_layer()
    {
        using LanguageModel model = Models.Variant("scalable", "rotary").Build(Models.Vocabulary);
        Assert.Equal([4], model.state_dict()["blocks.1.mixer.scalableSoftmax.scale"].shape);
    }

    // A pattern no kernel has a fast way for.
    private sealed class EverySecond : AttentionPattern
    {
        public override PatternShape Shape => PatternShape.Masked;

        public override Tensor Visible(Tensor queries, Tensor keys) => keys.le(queries).logical_and(queries.sub(keys).remainder(2).eq(0));

        public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) => [new(0, queries.Last + 1)];
    }
}
