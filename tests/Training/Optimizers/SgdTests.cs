using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class SgdTests
{
    [Theory]
    [InlineData(0.9, false)]
    [InlineData(0.9, true)]
    [InlineData(0, false)]
    public void Follows_the_formula_and_decays_matrices_only(double momentum, bool nesterov)
    {
        using DisposeScope scope = NewDisposeScope();
        (string, Parameter)[] parameters = [("matrix", new(full([1, 1], 2f))), ("bias", new(full([1], 2f)))];
        using Sgd optimizer = new(new SgdOptions { Momentum = momentum, Nesterov = nesterov, WeightDecay = 0.2 }, parameters);
        double[] values = [2, 2], buffers = [0, 0];

        for (int step = 1; step <= 3; step++)
        {
            foreach ((_, Parameter parameter) in parameters) parameter.grad = full(parameter.shape, 0.5f * step);
            optimizer.Step(0.1, tensor(0f));
            for (int i = 0; i < 2; i++)
            {
                double gradient = 0.5 * step + (i == 0 ? 0.2 * values[0] : 0);
                buffers[i] = momentum * buffers[i] + gradient;
                values[i] -= 0.1 * (nesterov ? gradient + momentum * buffers[i] : buffers[i]);
                Assert.Equal(values[i], parameters[i].Item2.ToDouble(), 1e-5);
            }
        }
        string[] state = momentum == 0 ? [] : ["matrix.momentum_buffer", "bias.momentum_buffer"];
        Assert.Equal(state, optimizer.State.Select(entry => entry.Name));
    }

    [Fact]
    public void A_step_counts_as_a_write_of_the_weight()
    {
        using DisposeScope scope = NewDisposeScope();
        using ComputeWeight copy = new();
        Parameter weight = new(ones(2, 2));
        using Sgd optimizer = new(new SgdOptions(), [("w", weight)]);
        Assert.Equal(1, copy.Of(weight)[0, 0].to(ScalarType.Float32).item<float>());
        weight.grad = ones(2, 2);

        optimizer.Step(0.5, tensor(0f));

        Assert.Equal(0.5f, copy.Of(weight)[0, 0].to(ScalarType.Float32).item<float>());
    }
}
