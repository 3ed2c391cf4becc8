using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed unsafe class CachedAttentionTests
{
    public static TheoryData<int, int, int, int> Shapes()
    {
        TheoryData<int, int, int, int> shapes = [];
        (int, int, int)[] sizes = [(1, 1, 1), (1, 5, 64), (2, 16, 20), (4, 33, 128), (5, 70, 36)];
        foreach (int lanes in (int[])[16, 8, 4, 1])
            foreach ((int heads, int count, int width) in sizes) shapes.Add(lanes, heads, count, width);
        return shapes;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void It_is_the_softmax_of_the_scores_times_the_values(int lanes, int heads, int count, int width)
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(heads, count, width);
        TensorAssert.CloseToScale(inputs.Expected(cap: null, biased: false), inputs.Run(lanes), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Scores_are_bounded_first_then_distances_count(int lanes, int heads, int count, int width)
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(heads, count, width);
        TensorAssert.CloseToScale(inputs.Expected(cap: 2, biased: false), inputs.Run(lanes, cap: 2), 1e-5);
        TensorAssert.CloseToScale(inputs.Expected(cap: null, biased: true), inputs.Run(lanes, biased: true), 1e-5);
        TensorAssert.CloseToScale(inputs.Expected(cap: 2, biased: true), inputs.Run(lanes, cap: 2, biased: true), 1e-5);
    }

    [Fact]
    public void Large_scores_do_not_overflow()
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(2, 40, 16);
        inputs.Queries.mul_(1000);
        TensorAssert.CloseToScale(inputs.Expected(cap: null, biased: false), inputs.Run(Lanes.Widest), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Positions_in_any_slots_give_the_same_bits(int lanes, int heads, int count, int width)
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(heads, count, width);
        Tensor expected = inputs.Run(lanes, biased: true);
        Random random = new(count);
        for (int round = 0; round < 5; round++)
            TensorAssert.SameBits(expected, inputs.Scattered(random).Run(lanes, biased: true));
    }

    [Fact]
    public void Numbers_are_bounded_in_place()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(20_011).mul(100), expected = x.to(ScalarType.Float64).div(30).tanh().mul(30);
        CachedAttention.Bound((float*)x.DataPointer, x.numel(), 30);
        TensorAssert.CloseToScale(expected, x, 1e-6);
    }

    private sealed class Inputs
    {
        private readonly Tensor distances, slopes;
        private Tensor keys, values;
        private SlotRun[] runs;

        public Inputs(int heads, int count, int width)
        {
            manual_seed(heads + count);
            (Queries, keys, values) = (randn(heads, width), randn(count, width), randn(count, width));
            runs = [new(0, count)];
            (distances, slopes) = (arange(count, dtype: ScalarType.Float32).flip(0).contiguous(), rand(heads));
        }

        public Tensor Queries { get; }

        public Tensor Expected(double? cap, bool biased)
        {
            Tensor scores = Queries.to(ScalarType.Float64).matmul(keys.to(ScalarType.Float64).t());
            if (cap is { } bound) scores = scores.div(bound).tanh().mul(bound);
            if (biased) scores = scores.sub(slopes.to(ScalarType.Float64).unsqueeze(1).mul(distances));
            return scores.softmax(-1).matmul(values.to(ScalarType.Float64));
        }

        /// <summary>The same positions, cut into runs of 1 to 7 that lie in another order, with gaps that must not be read.</summary>
        public Inputs Scattered(Random random)
        {
            long count = distances.size(0), width = keys.size(1);
            List<(long First, long Count)> parts = [];
            for (long first = 0, size; first < count; first += size) parts.Add((first, size = Math.Min(random.Next(1, 8), count - first)));
            Inputs scattered = (Inputs)MemberwiseClone();
            Tensor room = full([3 * count, width], float.NaN);
            (scattered.keys, scattered.values, scattered.runs) = (room, room.clone(), new SlotRun[parts.Count]);
            long slot = 0;
            foreach (int part in Enumerable.Range(0, parts.Count).OrderBy(_ => random.Next()).ToArray())
            {
                (long first, long size) = parts[part];
                slot += random.Next(2);
                scattered.keys.narrow(0, slot, size).copy_(keys.narrow(0, first, size));
                scattered.values.narrow(0, slot, size).copy_(values.narrow(0, first, size));
                scattered.runs[part] = new(slot, size);
                slot += size;
            }
            return scattered;
        }

        public Tensor Run(int lanes, float cap = 0, bool biased = false)
        {
            fixed (SlotRun* first = runs) return Run(first, lanes, cap, biased);
        }

        private Tensor Run(SlotRun* first, int lanes, float cap, bool biased)
        {
            Tensor result = empty(Queries.shape);
            CachedAttention attention = new()
            {
                Queries = (float*)Queries.DataPointer,
                Keys = (float*)keys.DataPointer,
                Values = (float*)values.DataPointer,
                Result = (float*)result.DataPointer,
                Runs = first,
                RunCount = runs.Length,
                Count = distances.size(0),
                Width = keys.size(1),
                SoftCap = cap,
                Distances = biased ? (float*)distances.DataPointer : null,
                Slopes = (float*)slopes.DataPointer,
            };
            long heads = Queries.size(0);
            switch (lanes)
            {
                case 16: attention.Run<Lanes16>(0, heads); break;
                case 8: attention.Run<Lanes8>(0, heads); break;
                case 4: attention.Run<Lanes4>(0, heads); break;
                default: attention.Run<Lanes1>(0, heads); break;
            }
            return result;
        }
    }
}
