using TorchSharp;
using Trainer.Training.Spikes;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Spikes;

public sealed class TensorFiguresTests
{
    [Fact]
    public void Norm_and_largest_are_of_the_finite_numbers_and_the_others_are_counted()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = tensor(new float[,] { { 3, float.NaN, -4 }, { float.NegativeInfinity, float.PositiveInfinity, 12 } });

        Assert.Equal(new TensorFigures(13, 12, 3), TensorFigures.Of(values));
        Assert.Equal([new TensorFigures(5, 4, 1), new TensorFigures(12, 12, 2)], Rows(values));
    }

    [Fact]
    public void Squares_do_not_overflow()
    {
        using DisposeScope scope = NewDisposeScope();
        TensorFigures figures = TensorFigures.Of(tensor(new float[] { 3e30f, 4e30f }));

        Assert.Equal(5e30, figures.Norm, 1e24);
        Assert.True(figures is { NonFinite: 0, IsOutOfRange: true });
    }

    [Fact]
    public void A_tensor_that_is_measured_in_parts_is_measured_whole()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = full(2, (1 << 22) + 1, 0.5f, ScalarType.Float32); // three parts, and one number in the last
        values[1, 1 << 22] = -2;

        Assert.Equal(new TensorFigures(Math.Sqrt((0.25 * ((2 << 22) + 1)) + 4), 2, 0), TensorFigures.Of(values));
    }

    private static TensorFigures[] Rows(Tensor values)
    {
        using Tensor measured = TensorFigures.MeasureRows(values);
        return TensorFigures.Read(measured);
    }
}
