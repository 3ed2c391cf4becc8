using TorchSharp;
using Trainer.Models.Positions;
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
        float[] rows = positions.Embed(zeros(1, length, dim), Models.At(offset)).reshape(-1).data<float>().ToArray();
        for (int t = 0; t < length; t++)
        for (int i = 0; i < dim / 2; i++)
        {
            double angle = (t + offset) / Math.Pow(10000, 2.0 * i / dim);
            Assert.Equal(Math.Sin(angle), rows[t * dim + 2 * i], 1e-6);
            Assert.Equal(Math.Cos(angle), rows[t * dim + 2 * i + 1], 1e-6);
        }
    }
}
