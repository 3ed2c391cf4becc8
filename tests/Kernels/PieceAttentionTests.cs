using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed unsafe class PieceAttentionTests
{
    public static MatrixTheoryData<int, (int, int, int)> Shapes =>
        new([16, 8, 4], [(0, 1, 1), (0, 5, 64), (16, 20, 20), (3, 32, 36), (40, 32, 128)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void It_is_the_softmax_of_the_scores_times_the_values(int lanes, (int First, int Rows, int Width) shape)
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(shape.First, shape.Rows, shape.Width);
        TensorAssert.CloseToScale(inputs.Expected(cap: null, biased: false), inputs.Run(lanes), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Scores_are_bounded_first_then_distances_count(int lanes, (int First, int Rows, int Width) shape)
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(shape.First, shape.Rows, shape.Width);
        TensorAssert.CloseToScale(inputs.Expected(cap: 2, biased: true), inputs.Run(lanes, cap: 2, biased: true), 1e-5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(31)]
    public void A_position_has_the_same_bits_in_a_shorter_piece(int rows)
    {
        using DisposeScope scope = NewDisposeScope();
        Inputs inputs = new(first: 50, rows: 32, width: 48);
        TensorAssert.SameBits(inputs.Run(Lanes.Widest).narrow(0, 0, rows), inputs.Run(Lanes.Widest, rows: rows));
    }

    // Keys and values lie in two runs of slots, the second before the first, with a gap that must not be read.
    private sealed class Inputs
    {
        private readonly int first, width;
        private readonly Tensor queries, keys, values, distances;

        public Inputs(int first, int rows, int width)
        {
            manual_seed(first + rows);
            (this.first, this.width) = (first, width);
            (queries, keys, values) = (randn(rows, width), randn(first + rows, width), randn(first + rows, width));
            distances = arange(first, first + rows, dtype: ScalarType.Float32).unsqueeze(1).sub(arange(first + rows)).contiguous();
        }

        public Tensor Expected(double? cap, bool biased)
        {
            Tensor scores = queries.to(ScalarType.Float64).matmul(keys.to(ScalarType.Float64).t()); // (R, S)
            if (cap is { } bound) scores = scores.div(bound).tanh().mul(bound);
            if (biased) scores = scores.sub(distances.mul(0.3));
            return scores.masked_fill(distances.lt(0), double.NegativeInfinity).softmax(-1).matmul(values.to(ScalarType.Float64));
        }

        public Tensor Run(int lanes, float cap = 0, bool biased = false, int? rows = null)
        {
            long height = rows ?? queries.size(0), count = first + height, cut = count / 2;
            SlotRun[] runs = [new(count - cut + 3, cut), new(0, count - cut)];
            Tensor keyPanels = full([PieceAttention.KeyNumbers(count, width)], float.NaN);
            Tensor valuePanels = full([PieceAttention.ValueNumbers(count, width)], float.NaN), result = empty(height, width);
            Tensor keySlots = Scattered(keys, count, cut), valueSlots = Scattered(values, count, cut);
            PieceAttention.Pack(
                (float*)keySlots.DataPointer, (float*)valueSlots.DataPointer, runs, count, width, (float*)keyPanels.DataPointer,
                (float*)valuePanels.DataPointer);
            PieceAttention attention = new()
            {
                Queries = (float*)queries.DataPointer,
                QueryStride = width,
                Keys = (float*)keyPanels.DataPointer,
                Values = (float*)valuePanels.DataPointer,
                Result = (float*)result.DataPointer,
                ResultStride = width,
                First = first,
                Count = count,
                Width = width,
                SoftCap = cap,
                Distances = biased ? (float*)distances.DataPointer : null,
                DistanceStride = distances.size(1),
                Slope = 0.3f,
            };
            switch (lanes)
            {
                case 16: attention.Run<Lanes16>(0, height); break;
                case 8: attention.Run<Lanes8>(0, height); break;
                default: attention.Run<Lanes4>(0, height); break;
            }
            return result;
        }

        private Tensor Scattered(Tensor positions, long count, long cut)
        {
            Tensor slots = full([count + 3, width], float.NaN);
            slots.narrow(0, count - cut + 3, cut).copy_(positions.narrow(0, 0, cut));
            slots.narrow(0, 0, count - cut).copy_(positions.narrow(0, cut, count - cut));
            return slots;
        }
    }
}
