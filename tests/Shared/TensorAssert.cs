using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Tests;

/// <summary>Comparisons of tensors with numbers written down by hand, and with each other.</summary>
internal static class TensorAssert
{
    internal static double[] Values(Tensor tensor)
    {
        using var values = tensor.detach().to(ScalarType.Float64);
        return values.data<double>().ToArray();
    }

    internal static void Equal(double[] expected, Tensor actual, double tolerance = 1e-6)
    {
        var values = Values(actual);
        Assert.Equal(expected.Length, values.Length);
        for (var i = 0; i < expected.Length; i++)
            if (double.IsFinite(expected[i])) Assert.InRange(values[i] - expected[i], -tolerance, tolerance);
            else Assert.Equal(expected[i], values[i]);
    }

    internal static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        var worst = (expected.to(ScalarType.Float64) - actual.to(ScalarType.Float64)).abs().max().ToDouble();
        Assert.True(worst <= tolerance, $"differs by {worst}, more than {tolerance}");
    }

    internal static void SameBits(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Assert.Equal(expected.cpu().contiguous().bytes.ToArray(), actual.cpu().contiguous().bytes.ToArray());
    }
}
