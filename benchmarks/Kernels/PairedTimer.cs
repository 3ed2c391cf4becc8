using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Benchmarks;

/// <summary>The shapes that a model gives a kernel on one call.</summary>
/// <param name="Name">The model's size.</param>
/// <param name="Rows">Sequences, B.</param>
/// <param name="Length">Positions, T.</param>
/// <param name="Dim">Width of the stream, C.</param>
/// <param name="Heads">Heads, H.</param>
/// <param name="Vocabulary">Tokens, V.</param>
internal sealed record ModelSize(string Name, int Rows, int Length, int Dim, int Heads, int Vocabulary)
{
    /// <summary>nanoGPT's two recipes for Shakespeare, and GPT-2.</summary>
    public static IReadOnlyList<ModelSize> All { get; } =
        [new("0.8 M", 12, 64, 128, 4, 256), new("10 M", 16, 256, 384, 6, 256), new("124 M", 2, 1024, 768, 12, 50257)];

    /// <summary>Width of a head, D.</summary>
    public int HeadDim => Dim / Heads;

    /// <summary>Width of the hidden layer of a plain feed-forward layer, F.</summary>
    public int Hidden => 4 * Dim;

    /// <summary>Tokens of a batch, N = B·T.</summary>
    public int TokenCount => Rows * Length;

    /// <summary>(B, T, width), that wants a gradient.</summary>
    public Tensor Stream(int width, ScalarType type = ScalarType.Float32) => randn(Rows, Length, width).to(type).requires_grad_();
}

/// <summary>Helps to list cases.</summary>
internal static class Cases
{
    /// <summary>A case in float32, and the same in bfloat16.</summary>
    public static IEnumerable<(string Name, Func<ModelSize, Pair> Make)> InBothTypes(string name, Func<ModelSize, ScalarType, Pair> make) =>
        [(name, size => make(size, ScalarType.Float32)), ($"{name}, bfloat16", size => make(size, ScalarType.BFloat16))];
}

/// <summary>A kernel and its composed form.</summary>
/// <param name="Leaves">What gradients are wanted of; none where there is no backward pass.</param>
/// <param name="Kernel">The kernel, in the scope of the caller.</param>
/// <param name="Composed">The same in libtorch's operators.</param>
internal sealed record Pair(Tensor[] Leaves, Func<Tensor[]> Kernel, Func<Tensor[]> Composed)
{
    /// <summary>A pair of one result each.</summary>
    public static Pair Of(Tensor[] leaves, Func<Tensor> kernel, Func<Tensor> composed) => new(leaves, () => [kernel()], () => [composed()]);

    /// <summary>A pair that writes where it is told, without gradients.</summary>
    public static Pair Of(Action kernel, Action composed) => new([], () => Nothing(kernel), () => Nothing(composed));

    private static Tensor[] Nothing(Action action)
    {
        action();
        return [];
    }
}

/// <summary>Milliseconds of one call.</summary>
/// <param name="Forward">Its forward pass.</param>
/// <param name="Backward">Its backward pass; null where there is none.</param>
internal sealed record Times(double Forward, double? Backward);

/// <summary>Times two forms of one computation in turn.</summary>
internal static class PairedTimer
{
    private const double LeastMilliseconds = 0.5;

    /// <summary>Times a pair.</summary>
    /// <param name="pair">What to time.</param>
    /// <param name="repeats">How many times each; calls of less than half a millisecond more often.</param>
    public static (Times Kernel, Times Composed) Measure(Pair pair, int repeats)
    {
        List<Times> kernel = [], composed = [];
        for (int warm = 0; warm < 3; warm++) Both(warm % 2 == 0, [], []);
        Stopwatch watch = Stopwatch.StartNew();
        Both(true, [], []);
        double took = watch.Elapsed.TotalMilliseconds;
        int times = took < LeastMilliseconds ? 40 * repeats : took < 10 * LeastMilliseconds ? 4 * repeats : repeats;
        for (int i = 0; i < times; i++) Both(i % 2 == 0, kernel, composed);
        return (Middle(kernel), Middle(composed));

        void Both(bool kernelFirst, List<Times> ofKernel, List<Times> ofComposed)
        {
            if (kernelFirst) ofKernel.Add(Once(pair.Kernel, pair.Leaves));
            ofComposed.Add(Once(pair.Composed, pair.Leaves));
            if (!kernelFirst) ofKernel.Add(Once(pair.Kernel, pair.Leaves));
        }
    }

    private static Times Once(Func<Tensor[]> form, Tensor[] leaves)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        Tensor[] results = form();
        double forward = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (leaves.Length == 0) return new(forward, null);
        Tensor[] gradients = [.. results.Select(result => rand_like(result))];
        start = Stopwatch.GetTimestamp();
        foreach (Tensor? made in Differentiation.Grad(results, leaves, gradients)) made?.Dispose();
        return new(forward, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    private static Times Middle(List<Times> times) => new(
        Middle(times.Select(each => each.Forward)), times[0].Backward is null ? null : Middle(times.Select(each => each.Backward!.Value)));

    private static double Middle(IEnumerable<double> values) => values.Order().ElementAt(values.Count() / 2);
}
