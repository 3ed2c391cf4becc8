using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Tests;

/// <summary>Compares tensors. A failure names what was compared and says where it is furthest off, both values, by how much, how much is
/// allowed, and how many elements differ.</summary>
internal static class TensorAssert
{
    /// <summary>Every element is a number within <paramref name="tolerance"/> of the expected one.</summary>
    internal static void Close(
        Tensor expected, Tensor actual, double tolerance, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Comparison pair = new(expected, actual, what);
        pair.Require(pair.Distance.le(tolerance), tolerance);
    }

    /// <summary>As <see cref="Close(Tensor, Tensor, double, string)"/>, of each of several tensors.</summary>
    internal static void Close(
        IEnumerable<Tensor?> expected, IEnumerable<Tensor?> actual, double tolerance,
        [CallerArgumentExpression(nameof(actual))] string what = "") =>
        ForEach(expected, actual, what, (want, have, name) => Close(want, have, tolerance, name));

    /// <summary>Every element is within a part of the largest expected magnitude, or of <paramref name="floor"/> if that is
    /// larger.</summary>
    internal static void CloseToScale(
        Tensor expected, Tensor actual, double tolerance, double floor = 1, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        double largest = expected.numel() == 0 ? 0 : expected.detach().abs().max().to(ScalarType.Float64).item<double>();
        Close(expected, actual, tolerance * Math.Max(floor, largest), what);
    }

    /// <summary>As <see cref="CloseToScale(Tensor, Tensor, double, double, string)"/>, of each of several tensors.</summary>
    internal static void CloseToScale(
        IEnumerable<Tensor?> expected, IEnumerable<Tensor?> actual, double tolerance, double floor = 1,
        [CallerArgumentExpression(nameof(actual))] string what = "") =>
        ForEach(expected, actual, what, (want, have, name) => CloseToScale(want, have, tolerance, floor, name));

    /// <summary>Every element is the expected one, or within <paramref name="absolute"/> and a part of its magnitude (PyTorch's
    /// <c>allclose</c>).</summary>
    internal static void AllClose(
        Tensor expected, Tensor actual, double relative = 1e-5, double absolute = 1e-8,
        [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Comparison pair = new(expected, actual, what);
        pair.Require(pair.Distance.le(pair.Expected.abs().mul(relative).add(absolute)).logical_or(pair.IsSame), absolute, relative);
    }

    /// <summary>The length of the difference is at most a part of the length of what is expected, or of <paramref name="floor"/> if that is
    /// larger.</summary>
    internal static void CloseInNorm(
        Tensor expected, Tensor actual, double tolerance, double floor = 0, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Comparison pair = new(expected, actual, what);
        double allowed = tolerance * Math.Max(floor, pair.Expected.norm().item<double>()), distance = pair.Distance.norm().item<double>();
        if (!(distance <= allowed))
            pair.Fail(pair.Distance.le(0), $"the length of the difference is {distance:g6}, where {allowed:g6} is allowed");
    }

    /// <summary>Type, shape and every element are as expected; no element is NaN.</summary>
    internal static void Same(Tensor expected, Tensor actual, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(expected.dtype, actual.dtype);
        Comparison pair = new(expected, actual, what);
        pair.Require(expected.eq(actual), 0);
    }

    /// <summary>As <see cref="Same(Tensor, Tensor, string)"/>, of each of several tensors.</summary>
    internal static void Same(
        IEnumerable<Tensor?> expected, IEnumerable<Tensor?> actual, [CallerArgumentExpression(nameof(actual))] string what = "") =>
        ForEach(expected, actual, what, Same);

    /// <summary>Type, shape and every bit are as expected.</summary>
    internal static void SameBits(Tensor expected, Tensor actual, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(expected.dtype, actual.dtype);
        Comparison pair = new(expected, actual, what);
        ReadOnlySpan<byte> want = expected.cpu().contiguous().bytes, have = actual.cpu().contiguous().bytes;
        if (want.SequenceEqual(have)) return;
        int width = (int)(want.Length / expected.numel());
        bool[] same = new bool[expected.numel()];
        for (int i = 0; i < same.Length; i++) same[i] = want.Slice(i * width, width).SequenceEqual(have.Slice(i * width, width));
        pair.Require(tensor(same), 0);
    }

    /// <summary>As <see cref="SameBits(Tensor, Tensor, string)"/>, of each of several tensors.</summary>
    internal static void SameBits(
        IEnumerable<Tensor?> expected, IEnumerable<Tensor?> actual, [CallerArgumentExpression(nameof(actual))] string what = "") =>
        ForEach(expected, actual, what, SameBits);

    /// <summary>Some element is further than <paramref name="distance"/> from the other.</summary>
    internal static void Apart(Tensor one, Tensor other, double distance, [CallerArgumentExpression(nameof(other))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        double largest = new Comparison(one, other, what).Distance.max().item<double>();
        Assert.True(largest > distance, $"{what} is within {largest:g6}, and more than {distance:g6} was expected");
    }

    /// <summary>Every element is zero.</summary>
    internal static void Zero(Tensor actual, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Close(zeros_like(actual), actual, 0, what);
    }

    /// <summary>The elements, in order, are within <paramref name="tolerance"/> of numbers written down; NaN and infinities are
    /// themselves.</summary>
    internal static void Equal(
        double[] expected, Tensor actual, double tolerance = 1e-6, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(expected.Length, actual.numel());
        Comparison pair = new(tensor(expected).view(actual.shape), actual, what);
        Tensor bothNaN = pair.Expected.isnan().logical_and(pair.Actual.isnan());
        pair.Require(pair.Distance.le(tolerance).logical_or(pair.IsSame).logical_or(bothNaN), tolerance);
    }

    /// <inheritdoc cref="Equal(double[], Tensor, double, string)"/>
    internal static void Equal(
        double[] expected, double[] actual, double tolerance, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        using Tensor numbers = tensor(actual);
        Equal(expected, numbers, tolerance, what);
    }

    /// <inheritdoc cref="Equal(double[], Tensor, double, string)"/>
    internal static void Equal(
        float[] expected, float[] actual, double tolerance, [CallerArgumentExpression(nameof(actual))] string what = "") =>
        Equal(Array.ConvertAll(expected, number => (double)number), Array.ConvertAll(actual, number => (double)number), tolerance, what);

    internal static double[] Values(Tensor tensor)
    {
        using var values = tensor.detach().to(ScalarType.Float64);
        return values.data<double>().ToArray();
    }

    private static void ForEach(
        IEnumerable<Tensor?> expected, IEnumerable<Tensor?> actual, string what, Action<Tensor, Tensor, string> compare)
    {
        Tensor?[] want = [.. expected], have = [.. actual];
        Assert.Equal(want.Length, have.Length);
        for (int i = 0; i < want.Length; i++) compare(want[i]!, have[i]!, $"{what}[{i}]");
    }

    /// <summary>Two tensors of one shape, in float64.</summary>
    private sealed class Comparison
    {
        private readonly string what;

        public Comparison(Tensor expected, Tensor actual, string what)
        {
            this.what = what;
            if (!expected.shape.SequenceEqual(actual.shape))
                Assert.Fail($"{what} has the shape [{string.Join(", ", actual.shape)}], not [{string.Join(", ", expected.shape)}]");
            Expected = expected.detach().cpu().to(ScalarType.Float64);
            Actual = actual.detach().cpu().to(ScalarType.Float64);
        }

        public Tensor Expected { get; }

        public Tensor Actual { get; }

        public Tensor Distance => field ??= Expected.sub(Actual).abs();

        public Tensor IsSame => Expected.eq(Actual);

        public void Require(Tensor fits, double absolute, double relative = 0)
        {
            if (fits.all().item<bool>()) return;
            Fail(fits, relative == 0 ? $"where {absolute:g6} is allowed" : $"where {absolute:g6} and {relative:g6} of the value are allowed");
        }

        public void Fail(Tensor fits, string allowed)
        {
            bool[] right = fits.cpu().reshape(-1).data<bool>().ToArray();
            double[] distances = Values(Distance.reshape(-1)), want = Values(Expected.reshape(-1)), have = Values(Actual.reshape(-1));
            int[] wrong = [.. Enumerable.Range(0, right.Length).Where(i => !right[i])];
            int worst = wrong.MaxBy(i => double.IsNaN(distances[i]) ? double.PositiveInfinity : distances[i]);
            Assert.Fail(
                $"{what} is {have[worst]:r} at [{string.Join(", ", Place(worst))}], not {want[worst]:r}: {distances[worst]:g6} apart, {allowed}; " +
                $"{wrong.Length} of {right.Length} elements differ");
        }

        private long[] Place(long index)
        {
            long[] place = new long[Expected.dim()];
            for (int i = place.Length - 1; i >= 0; i--) (index, place[i]) = Math.DivRem(index, Expected.size(i));
            return place;
        }
    }
}
