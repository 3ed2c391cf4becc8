using TorchSharp;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

public class SinusoidalTests
{
    [Fact]
    public void Rows_follow_the_formula()
    {
        using DisposeScope scope = NewDisposeScope();
        const int dim = 6, offset = 3, length = 5;
        using SinusoidalPositions positions = new(4, dim);
        IEnumerable<double> angles = Enumerable.Range(offset, length).SelectMany(
            t => Enumerable.Range(0, dim / 2).Select(i => t / Math.Pow(10000, 2.0 * i / dim)));
        double[] expected = [.. angles.SelectMany(angle => (double[])[Math.Sin(angle), Math.Cos(angle)])];
        TensorAssert.Equal(expected, positions.Embed(zeros(1, length, dim), Models.At(offset)), 1e-6);
    }
}
