using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>What holds for every kernel: in vectors of every width it gives what its composed form gives in float64, its bits do not depend
/// on threads, and it leaves no tensor behind.</summary>
internal static class KernelAssert
{
    /// <summary>Runs a test in vectors of so many lanes, in a dispose scope.</summary>
    public static void WithLanes(int lanes, Action test)
    {
        using DisposeScope scope = NewDisposeScope();
        int before = Lanes.Most;
        Lanes.Most = lanes;
        try
        {
            test();
        }
        finally
        {
            Lanes.Most = before;
        }
    }

    /// <summary>Runs a test in vectors of 512, 256 and 128 bits, if this processor has them, and tells it their lanes.</summary>
    public static void InEveryWidth(Action<int> test)
    {
        foreach (int lanes in (int[])[16, 8, 4])
            if (lanes <= Lanes.Widest) WithLanes(lanes, () => test(lanes));
    }

    /// <summary>Compares results, and the gradients of a random weighting of all results.</summary>
    public static void AgreesWithFloat64(
        long[][] shapes, Func<Tensor[], Tensor[]> kernel, Func<Tensor[], Tensor[]> composed, double tolerance = 1e-5)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] values = Values(shapes);
        (Tensor[] expected, Tensor[] expectedGradients) = Run(composed, [.. values.Select(value => value.to(ScalarType.Float64))]);
        InEveryWidth(lanes =>
        {
            (Tensor[] actual, Tensor[] gradients) = Run(kernel, values);
            TensorAssert.CloseToScale(expected, actual, tolerance, what: $"results in {lanes} lanes");
            TensorAssert.CloseToScale(expectedGradients, gradients, tolerance, what: $"gradients in {lanes} lanes");
        });
    }

    /// <summary>Results and gradients in one width are the same bits with one thread and with three, and a second time.</summary>
    public static void IsDeterministic(long[][] shapes, Func<Tensor[], Tensor[]> kernel) => InEveryWidth(lanes =>
    {
        Tensor[] values = Values(shapes);
        (Tensor[] results, Tensor[] gradients) = Run(kernel, values);
        Tensor[] once = [.. results, .. gradients];
        foreach (int threads in (int[])[1, 3])
        {
            int before = get_num_threads();
            set_num_threads(threads);
            try
            {
                (results, gradients) = Run(kernel, values);
            }
            finally
            {
                set_num_threads(before);
            }
            TensorAssert.Same(once, [.. results, .. gradients], $"with {threads} threads in {lanes} lanes");
        }
    });

    /// <summary>The count of live tensors stays flat over recorded and unrecorded calls.</summary>
    public static void LeavesNothing(long[][] shapes, Func<Tensor[], Tensor[]> kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] values = Values(shapes);
        Finalizers.Run();
        List<long> live = [];
        for (int i = 0; i < 6; i++)
        {
            using (NewDisposeScope())
            {
                Run(kernel, values);
                using IDisposable unrecorded = no_grad();
                kernel(values);
            }
            live.Add(LiveTensors.Count());
        }
        Assert.All(live.Skip(2), count => Assert.Equal(live[2], count));
    }

    /// <summary>A call without gradients gives the same bits, keeps nothing and makes only its results.</summary>
    public static void KeepsNothingWithoutGradients(long[][] shapes, Func<Tensor[], Tensor[]> kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] values = Values(shapes);
        Tensor[] recorded = kernel([.. values.Select(value => value.clone().requires_grad_())]), results;
        Finalizers.Run();
        long before = LiveTensors.Count();
        results = kernel(values);
        Assert.Equal(before + results.Length, LiveTensors.Count());
        TensorAssert.Same(recorded, results);
        Assert.All(results, result => Assert.False(result.requires_grad));
    }

    public static Tensor[] Values(long[][] shapes)
    {
        manual_seed(7);
        return [.. shapes.Select(shape => randn(shape))];
    }

    public static (Tensor[] Results, Tensor[] Gradients) Run(Func<Tensor[], Tensor[]> function, Tensor[] values)
    {
        Tensor[] inputs = [.. values.Select(value => value.detach().clone().requires_grad_())];
        Tensor[] results = function(inputs);
        manual_seed(8);
        Tensor[] weights = [.. results.Select(result => randn(result.shape).to(result.dtype))];
        IList<Tensor?> gradients = autograd.grad(results, inputs, weights);
        return ([.. results.Select(result => result.detach())], [.. gradients.Select(gradient => gradient!)]);
    }
}
