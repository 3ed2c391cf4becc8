using TorchSharp;
using TorchSharp.Modules;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class LionTests
{
    [Fact]
    public void Follows_the_formula_and_decays_matrices_only()
    {
        using DisposeScope scope = NewDisposeScope();
        (string, Parameter)[] parameters = [("matrix", new(full([1, 1], 2f))), ("bias", new(full([1], 2f)))];
        using Lion optimizer = new(new LionOptions { Betas = [0.8, 0.9], WeightDecay = 0.2 }, parameters);
        double matrix = 2, bias = 2, average = 0;

        foreach (double gradient in (double[])[0.5, 0.25, -0.02, -3])
        {
            foreach ((_, Parameter parameter) in parameters) parameter.grad = full(parameter.shape, (float)gradient);
            optimizer.Step(0.1, tensor(0f));

            int sign = Math.Sign(0.8 * average + 0.2 * gradient);
            average = 0.9 * average + 0.1 * gradient;
            matrix = matrix * (1 - 0.1 * 0.2) - 0.1 * sign;
            bias -= 0.1 * sign;
            Assert.Equal(matrix, parameters[0].Item2.ToDouble(), 1e-6);
            Assert.Equal(bias, parameters[1].Item2.ToDouble(), 1e-6);
        }
        Assert.Equal(["matrix.exp_avg", "bias.exp_avg"], optimizer.State.Select(state => state.Name));
    }
}
