using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;
using AdamW = Trainer.Training.Optimizers.AdamW;

namespace Trainer.Training.Tests.Optimizers;

public sealed class AdamWTests
{
    private static readonly AdamWOptions Options = new() { Betas = [0.9, 0.99], WeightDecay = 0.2, Epsilon = 1e-6 };

    [Fact]
    public void Follows_the_formula_and_decays_matrices_only()
    {
        using DisposeScope scope = NewDisposeScope();
        (string, Parameter)[] parameters = [("matrix", Parameter([1, 1], 2f)), ("bias", Parameter([1], 2f))];
        using AdamW optimizer = new(Options, parameters);
        double matrix = 2, bias = 2, average = 0, square = 0;

        for (int step = 1; step <= 3; step++)
        {
            float gradient = 0.5f * step;
            foreach ((_, Parameter parameter) in parameters) parameter.grad = full(parameter.shape, gradient);
            optimizer.Step(0.1, Number(0));

            average = 0.9 * average + 0.1 * gradient;
            square = 0.99 * square + 0.01 * gradient * gradient;
            double update = 0.1 * (average / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(square / (1 - Math.Pow(0.99, step))) + 1e-6);
            matrix = matrix * (1 - 0.1 * 0.2) - update;
            bias -= update;
            Assert.Equal(matrix, parameters[0].Item2.ToDouble(), 1e-5);
            Assert.Equal(bias, parameters[1].Item2.ToDouble(), 1e-5);
        }
    }

    [Fact]
    public void A_skipped_step_changes_neither_weights_nor_state()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter parameter = Parameter([2, 2], 1f);
        using AdamW optimizer = new(Options, [("w", parameter)]);
        parameter.grad = full(parameter.shape, 0.3f);
        optimizer.Step(0.1, Number(0));
        float[][] before = Everything(optimizer, parameter);

        parameter.grad = full(parameter.shape, float.NaN);
        optimizer.Step(0.1, Number(1));

        Assert.Equal(before, Everything(optimizer, parameter));
        Assert.Equal(1, optimizer.State.Single(state => state.Name == "w.step").Value.ToSingle());
    }

    [Fact]
    public void Parameters_without_a_gradient_stay_where_they_are()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter used = Parameter([2], 1f), unused = Parameter([2, 2], 1f);
        using AdamW optimizer = new(Options, [("used", used), ("unused", unused)]);
        used.grad = ones(2);

        optimizer.Step(0.1, Number(0));

        Assert.Equal([1, 1, 1, 1], unused.data<float>().ToArray());
        Assert.NotEqual(1, used.data<float>()[0]);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    public void Threads_share_the_parameters_and_give_the_bits_of_one(int count)
    {
        using DisposeScope scope = NewDisposeScope();
        using WorkerThreads threads = new(count);
        (string, Parameter)[] Parameters() => [.. Enumerable.Range(1, 4).Select(i => ($"w{i}", Parameter(i % 2 == 0 ? [i] : [i, 3], i)))];
        (string Name, Parameter Value)[] alone = Parameters(), shared = Parameters();
        using AdamW one = new(Options, alone), several = new(Options, shared, threads);

        foreach ((AdamW optimizer, (string Name, Parameter Value)[] parameters) in new[] { (one, alone), (several, shared) })
            for (int step = 1; step <= 3; step++)
            {
                foreach ((_, Parameter value) in parameters) value.grad = value.detach() * (0.1 * step);
                optimizer.ClipAndStep(norm: Number(2), maxNorm: 0.5, learningRate: 0.1, skip: Number(0));
            }

        TensorAssert.SameBits(
            alone.Select(parameter => parameter.Value.grad), shared.Select(parameter => parameter.Value.grad), "gradients");
        Assert.All(alone.Zip(shared), pair => Assert.Equal(Everything(one, pair.First.Value), Everything(several, pair.Second.Value)));
        Assert.NotEqual(Enumerable.Repeat(1f, 3), alone[0].Value.data<float>().ToArray());
    }

    [Fact]
    public void State_is_saved_under_PyTorchs_names_and_comes_back()
    {
        using DisposeScope scope = NewDisposeScope();
        using TemporaryDirectory directory = new();
        Parameter parameter = Parameter([2, 3], 1f);
        using AdamW trained = new(Options, [("layer.weight", parameter)]);
        parameter.grad = full(parameter.shape, 0.3f);
        trained.Step(0.1, Number(0));

        trained.Save(directory.File("optimizer.safetensors"));
        using AdamW fresh = new(Options, [("layer.weight", parameter)]);
        fresh.Load(directory.File("optimizer.safetensors"));

        Assert.Equal(["layer.weight.exp_avg", "layer.weight.exp_avg_sq", "layer.weight.step"], fresh.State.Select(state => state.Name));
        Assert.Equal(Everything(trained, parameter), Everything(fresh, parameter));
    }

    [Fact]
    public void State_of_other_parameters_is_refused_with_both_shapes()
    {
        using DisposeScope scope = NewDisposeScope();
        using TemporaryDirectory directory = new();
        string path = directory.File("optimizer.safetensors");
        using AdamW narrow = new(Options, [("a", Parameter([2, 3], 1f)), ("b", Parameter([1], 1f))]);
        using AdamW wide = new(Options, [("a", Parameter([2, 4], 1f)), ("c", Parameter([1], 1f))]);
        narrow.Save(path);

        var error = Assert.Throws<UserException>(() => wide.Load(path));

        Assert.Equal(
            $"""
            {path}: it does not fit the optimizer:
              a.exp_avg is [2, 3] in the file, [2, 4] here
              a.exp_avg_sq is [2, 3] in the file, [2, 4] here
              c.exp_avg [1] is missing from the file
              c.exp_avg_sq [1] is missing from the file
              c.step [] is missing from the file
              b.exp_avg [1] is in the file only
              b.exp_avg_sq [1] is in the file only
              b.step [] is in the file only
            """, error.Message);
    }

    private static Parameter Parameter(long[] shape, float value) => new(full(shape, value));

    private static Tensor Number(float value) => tensor(value);

    private static float[][] Everything(AdamW optimizer, Tensor parameter) =>
        [.. optimizer.State.Select(state => state.Value.data<float>().ToArray()), parameter.data<float>().ToArray()];
}
