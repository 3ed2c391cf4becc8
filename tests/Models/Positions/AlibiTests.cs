using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

public class AlibiTests
{
    [Fact]
    public void Slopes_are_those_of_the_published_code()
    {
        using SafetensorsFile fixture = SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "biases.safetensors"));
        for (int heads = 1; heads <= 24; heads++)
        {
            using Tensor expected = fixture.Read($"slopes.{heads}");
            TensorAssert.Equal(expected.data<double>().ToArray(), AlibiPositions.Slopes(heads), 1e-14, $"of {heads} heads the slope");
        }
        Assert.Equal([1 / 2.0, 1 / 4.0, 1 / 8.0, 1 / 16.0, 1 / 32.0, 1 / 64.0, 1 / 128.0, 1 / 256.0], AlibiPositions.Slopes(8));
    }

    [Fact]
    public void The_bias_is_minus_slope_times_distance_in_both_directions()
    {
        using DisposeScope scope = NewDisposeScope();
        using AlibiPositions alibi = new(2);
        Tensor bias = Bias(alibi, new(3, 2), new(2, 4));
        Assert.Equal([1, 2, 2, 4], bias.shape);
        double[] slopes = AlibiPositions.Slopes(2);
        double[] distances = [1, 0, 1, 2, 2, 1, 0, 1];
        Assert.Equal(
            slopes.SelectMany(slope => distances.Select(distance => (float)(-slope * distance))), bias.reshape(-1).data<float>().ToArray());
    }

    [Fact]
    public void Sinks_and_a_rolled_window_keep_their_distances()
    {
        using DisposeScope scope = NewDisposeScope();
        using AlibiPositions alibi = new(4);
        Tensor all = Bias(alibi, new(1000, 1), new(0, 1001));
        // Keys 0 and 1, then 990 … 1000.
        Tensor kept = cat([all.narrow(3, 0, 2), all.narrow(3, 990, 11)], 3);
        TensorAssert.Same(kept, Bias(alibi, new(1000, 1), new(990, 13, Sinks: 2)));
    }

    [Fact]
    public void A_table_is_made_once_for_its_place_and_outlives_others()
    {
        using DisposeScope scope = NewDisposeScope();
        using AlibiPositions alibi = new(4);
        Tensor first = Bias(alibi, new(0, 8), new(0, 8));
        Finalizers.Run();
        long before = LiveTensors.Count();
        Bias(alibi, new(0, 8), new(0, 8)).Dispose();
        Assert.Equal(before, LiveTensors.Count());
        for (int i = 0; i < 50; i++) Bias(alibi, new(i, 1), new(0, i + 1)).Dispose();
        Assert.InRange(LiveTensors.Count() - before, 0, 4);
        TensorAssert.Same(first, Bias(alibi, new(0, 8), new(0, 8)));
    }

    private static Tensor Bias(AlibiPositions alibi, PositionSpan queries, PositionSpan keys)
    {
        using AttentionContext context = new() { PositionLimit = 1 };
        using Tensor query = zeros(1, 1, 1, 1);
        return alibi.Bias(query, context, queries, keys)!;
    }
}
