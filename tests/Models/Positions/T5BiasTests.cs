using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

/// <summary>Equality with Hugging Face's T5, from Fixtures/make_biases.py.</summary>
public class T5BiasTests
{
    public static TheoryData<int, int, bool> Cases() => new(
        from sizes in ((int, int)[])[(32, 128), (8, 20), (4, 3), (64, 256)]
        from causal in (bool[])[false, true]
        select (sizes.Item1, sizes.Item2, causal));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Buckets_are_those_of_Hugging_Face(int buckets, int maxDistance, bool causal)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open();
        T5BiasOptions options = new() { Buckets = buckets, MaxDistance = maxDistance };
        // A query at 300 and keys at 0 … 600: distances −300 … 300.
        Tensor actual = T5Positions.Buckets(options, causal, tensor([300L]).unsqueeze(1), arange(0, 601, ScalarType.Int64));
        Assert.Equal(
            fixture.Read($"buckets.{Name(buckets, maxDistance, causal)}").data<long>().ToArray(),
            actual.reshape(-1).data<long>().ToArray());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Biases_are_those_of_Hugging_Face_whole_and_row_by_row(int buckets, int maxDistance, bool causal)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open();
        string name = Name(buckets, maxDistance, causal);
        using T5Positions positions = new(new() { Buckets = buckets, MaxDistance = maxDistance }, 3, causal);
        using (no_grad()) positions.Weight.copy_(fixture.Read($"weight.{name}"));
        Tensor expected = fixture.Read($"bias.{name}");
        TensorAssert.Same(expected, Bias(positions, new(0, 12), new(0, 12)));
        for (int row = 0; row < 12; row++)
            TensorAssert.Same(expected.narrow(2, row, 1).narrow(3, 0, row + 1), Bias(positions, new(row, 1), new(0, row + 1)));
        Tensor rolled = cat([expected.narrow(2, 11, 1).narrow(3, 0, 2), expected.narrow(2, 11, 1).narrow(3, 7, 5)], 3);
        TensorAssert.Same(rolled, Bias(positions, new(11, 1), new(7, 7, Sinks: 2)));
    }

    [Fact]
    public void Layers_share_one_bias_and_its_gradient()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5Positions positions = new(new() { Buckets = 4, MaxDistance = 8 }, 2, causal: true);
        using (no_grad()) positions.Weight.fill_(1);
        using AttentionContext context = new() { PositionLimit = 3 };
        Tensor query = zeros(1, 2, 3, 4);
        Tensor first = positions.Bias(query, context, new(0, 3), new(0, 3))!;
        Assert.Same(first, positions.Bias(query, context, new(0, 3), new(0, 3)));
        Assert.NotSame(first, positions.Bias(query, context, new(1, 2), new(0, 3)));
        first.add(first).sum().backward();
        // Distances of three queries over three keys: zero or ahead six times, one twice, two once; each is used twice.
        Assert.Equal([12, 12, 4, 4, 2, 2, 0, 0], positions.Weight.grad!.reshape(-1).data<float>().ToArray());
    }

    private static Tensor Bias(T5Positions positions, PositionSpan queries, PositionSpan keys)
    {
        using AttentionContext context = new() { PositionLimit = 1 };
        return positions.Bias(zeros(1, 1, 1, 1), context, queries, keys)!.detach().clone();
    }

    private static string Name(int buckets, int maxDistance, bool causal) => $"{buckets}.{maxDistance}.{(causal ? "back" : "both")}";

    private static SafetensorsFile Open() => SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "biases.safetensors"));
}
