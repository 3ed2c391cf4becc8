using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention;

/// <summary>Scalable softmax and temperature against their formulas.</summary>
public class QueryScalingTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(8190)]
    [InlineData(8191)]
    [InlineData(8192)]
    [InlineData(16383)]
    [InlineData(100_000)]
    public void Temperature_follows_the_formula_of_Llama_4(int position)
    {
        using DisposeScope scope = NewDisposeScope();
        using QueryTemperature temperature = new(new(), 4);
        double expected = 1 + 0.1 * Math.Log(1 + Math.Floor((position + 1) / 8192.0));
        Assert.Equal(expected, temperature.Apply(ones(1, 2, 1, 3), Models.At(position)).max().item<float>(), 1e-6);
    }

    [Fact]
    public void Temperature_rises_with_the_first_position_behind_the_floor()
    {
        using DisposeScope scope = NewDisposeScope();
        using QueryTemperature temperature = new(new(), 4);
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
        Tensor expected = tensor([1, 1 + Math.Log(2), 1 + Math.Log(5), 1 + Math.Log(3)]).view(2, 1, 2, 1); // (B, 1, T, 1)
        TensorAssert.Close(expected.expand(2, 3, 2, 5), factors, 1e-6);
    }

    private static readonly Dictionary<string, AttentionPattern> Patterns = new()
    {
        ["causal"] = new CausalPattern(),
        ["full"] = new FullPattern(),
        ["every second"] = new EverySecond(),
    };

    /// <summary>Pattern, first query, queries, keys.</summary>
    public static TheoryData<string, int, int, int> Spans() => new(
        from pattern in Patterns.Keys
        from span in ((int, int, int)[])[(0, 9, 9), (5, 3, 8), (8, 1, 9), (300, 1, 301), (0, 600, 600)]
        select (pattern, span.Item1, span.Item2, span.Item3));

    [Theory]
    [MemberData(nameof(Spans))]
    public void Queries_grow_with_the_logarithm_of_the_keys_they_see(string name, int firstQuery, int queries, int keys)
    {
        using DisposeScope scope = NewDisposeScope();
        AttentionPattern pattern = Patterns[name];
        using ScalableSoftmax scaling = new(2, pattern, 16);
        Assert.Equal([0.43f, 0.43f], scaling.Scale.data<float>().ToArray());
        using (no_grad()) scaling.Scale.copy_(tensor([0.5f, 2f]));
        using MaskStore masks = new();
        AttentionCall call = new(
            ones(1, 2, queries, 3), ones(1, 2, keys, 3), ones(1, 2, keys, 3), pattern, new(firstQuery, queries), new(0, keys), 1, masks);
        using AttentionContext context = new() { PositionLimit = firstQuery + queries };
        Tensor visible = pattern.Mask(call.Queries, call.Keys, CPU).sum(-1).to_type(ScalarType.Float32).log(); // (T)
        Tensor expected = stack([visible.mul(0.5), visible.mul(2)]).view(1, 2, queries, 1).expand(1, 2, queries, 3);
        TensorAssert.Close(expected, scaling.Apply(call, context), 1e-6);
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
        int[] seen = [1, 2, 3, 1, 2, 1];
        TensorAssert.Equal([.. seen.Select(count => Math.Log(count))], scaling.Apply(call, context), 1e-6);
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
