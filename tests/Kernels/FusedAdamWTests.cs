using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class FusedAdamWTests
{
    private const double Rate = 0.01, Beta1 = 0.9, Beta2 = 0.95, Decay = 0.1, Epsilon = 1e-8;

    // Loshchilov and Hutter 2019, algorithm 2, in doubles.
    [Fact]
    public void Ten_steps_equal_the_algorithm_written_out()
    {
        using var scope = NewDisposeScope();
        var random = new Generator(3);
        var state = new State(randn([5, 3], generator: random), randn([7], generator: random));
        double[][] weights = [.. state.Parameters.Select(TensorAssert.Values)];
        double[][] first = [.. weights.Select(w => new double[w.Length])], second = [.. weights.Select(w => new double[w.Length])];
        for (var step = 1; step <= 10; step++)
        {
            Tensor[] gradients = [.. state.Parameters.Select(p => randn(p.shape, generator: random))];
            state.Step(gradients);
            for (var i = 0; i < weights.Length; i++) Reference(weights[i], TensorAssert.Values(gradients[i]), first[i], second[i], step);
        }

        for (var i = 0; i < weights.Length; i++) TensorAssert.Equal(weights[i], state.Parameters[i], 2e-6);
        Assert.All(state.Steps, count => Assert.Equal(10, count.ToSingle()));
    }

    [Fact]
    public void The_gradient_scale_divides_the_gradients()
    {
        using var scope = NewDisposeScope();
        State plain = new(ones(3)), scaled = new(ones(3));
        var gradient = tensor([1f, -2f, 3f]);
        plain.Step([gradient]);
        scaled.Step([gradient * 8], scale: tensor(8f));
        TensorAssert.Close(plain.Parameters[0], scaled.Parameters[0], 1e-7);
    }

    [Fact]
    public void A_non_finite_step_changes_nothing_not_even_the_count()
    {
        using var scope = NewDisposeScope();
        var state = new State(ones(3));
        state.Step([tensor([1f, 2f, 3f])]);
        Tensor[] before = [.. state.All.Select(t => t.clone())];
        state.Step([tensor([float.NaN, 1f, float.PositiveInfinity])], foundInfinite: tensor(1f));
        TensorAssert.SameBits(before, state.All);

        state.Step([tensor([1f, 2f, 3f])], foundInfinite: tensor(0f));
        Assert.Equal(2, state.Steps[0].ToSingle());
        Assert.True(state.Parameters[0].isfinite().all().ToBoolean());
    }

    [Fact]
    public void Parameters_that_need_gradients_are_updated_without_a_record()
    {
        using var scope = NewDisposeScope();
        var parameter = nn.Parameter(ones(2));
        var state = new State(parameter);
        state.Step([ones(2)]);
        Assert.True(parameter.is_leaf);
        Assert.True(parameter.requires_grad);
        parameter.Dispose();
    }

    [Fact]
    public void Lists_of_different_lengths_are_refused_and_empty_ones_do_nothing()
    {
        using var scope = NewDisposeScope();
        var state = new State(ones(2));
        Assert.Contains("1, 0, 1, 1, 1", Assert.Throws<ArgumentException>(() => state.Step([])).Message);
        new State().Step([]);
    }

    private static void Reference(double[] weight, double[] gradient, double[] first, double[] second, int step)
    {
        for (var i = 0; i < weight.Length; i++)
        {
            first[i] = Beta1 * first[i] + (1 - Beta1) * gradient[i];
            second[i] = Beta2 * second[i] + (1 - Beta2) * gradient[i] * gradient[i];
            var mean = first[i] / (1 - Math.Pow(Beta1, step));
            var root = Math.Sqrt(second[i] / (1 - Math.Pow(Beta2, step)));
            weight[i] -= Rate * Decay * weight[i] + Rate * mean / (root + Epsilon);
        }
    }

    private sealed class State(params Tensor[] parameters)
    {
        internal Tensor[] Parameters => parameters;

        internal Tensor[] Steps { get; } = [.. parameters.Select(_ => zeros([]))];

        internal IEnumerable<Tensor> All => [.. parameters, .. averages, .. squares, .. Steps];

        private readonly Tensor[] averages = [.. parameters.Select(p => zeros_like(p))];

        private readonly Tensor[] squares = [.. parameters.Select(p => zeros_like(p))];

        internal void Step(Tensor[] gradients, Tensor? scale = null, Tensor? foundInfinite = null) =>
            FusedAdamW.Step(parameters, gradients, averages, squares, Steps, Rate, Beta1, Beta2, Decay, Epsilon, scale, foundInfinite);
    }
}
