using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

/// <summary>A case of a table: what is computed, and the shape and values worked out by hand.</summary>
internal sealed record Expectation(Func<Tensor> Compute, long[] Shape, double[] Values)
{
    internal void Check(double tolerance = 1e-6)
    {
        using var scope = NewDisposeScope();
        var actual = Compute();
        Assert.Equal(Shape, actual.shape);
        TensorAssert.Equal(Values, actual, tolerance);
    }
}
