using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Evaluation;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class ScheduleFreeTests
{
    private static readonly ScheduleFreeOptions Options = new() { Betas = [0.9, 0.99], WeightDecay = 0.2, Epsilon = 1e-6 };

    // Defazio et al. 2024, equations 1 to 3 with Adam's step: x is an average of z, y lies between them.
    [Fact]
    public void Follows_the_formula_and_decays_matrices_only()
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = [("matrix", new(full([1, 1], 2f))), ("bias", new(full([1], 2f)))];
        using ScheduleFree optimizer = new(Options, parameters);
        double[] z = [2, 2], x = [2, 2], y = [2, 2];
        double square = 0, weights = 0, highest = 0;

        foreach ((int step, double rate) in new[] { (1, 0.05), (2, 0.1), (3, 0.1), (4, 0.02) })
        {
            float gradient = 0.5f * step - 1.2f;
            foreach ((_, Parameter parameter) in parameters) parameter.grad = full(parameter.shape, gradient);
            optimizer.Step(rate, tensor(0f));

            square = 0.99 * square + 0.01 * gradient * gradient;
            highest = Math.Max(highest, rate);
            weights += highest * highest;
            double share = highest * highest / weights;
            for (int i = 0; i < 2; i++)
            {
                double update = gradient / (Math.Sqrt(square / (1 - Math.Pow(0.99, step))) + 1e-6) + (i == 0 ? 0.2 * y[i] : 0);
                z[i] -= rate * update;
                x[i] += share * (z[i] - x[i]);
                y[i] = 0.1 * z[i] + 0.9 * x[i];
                Assert.Equal(y[i], parameters[i].Value.ToDouble(), 1e-5);
                using (optimizer.UseAverages()) Assert.Equal(x[i], parameters[i].Value.ToDouble(), 1e-5);
            }
        }
    }

    [Fact]
    public void Averages_leave_the_weights_in_training_as_they_were_bit_for_bit()
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = Optimizers.Parameters();
        using Optimizer optimizer = Options.Build(parameters);
        Optimizers.TakeSteps(optimizer, parameters, from: 1, count: 3);
        float[][] before = Optimizers.Everything(optimizer, parameters);

        using (optimizer.UseAverages())
        {
            Assert.NotEqual(before, Optimizers.Everything(optimizer, parameters));
            Assert.Null(optimizer.UseAverages()); // they are in use
            Assert.Throws<InvalidOperationException>(() => optimizer.Step(0.1, tensor(0f)));
        }

        Assert.Equal(before, Optimizers.Everything(optimizer, parameters));
    }

    [Fact]
    public void A_checkpoint_has_the_averages_that_were_evaluated_and_the_weights_in_training_beside_them()
    {
        using TinyRun tiny = new(dropout: 0);
        tiny.Recipe = tiny.Recipe with { Optimizer = Options with { LearningRate = 0.01 }, Schedule = new ConstantSchedule() };
        RecordingSink sink = new();
        tiny.Train(sink: sink);
        string directory = tiny.Store().DirectoryOf(12);

        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile model = SafetensorsFile.Open(Path.Combine(directory, "model.safetensors")),
            state = SafetensorsFile.Open(Path.Combine(directory, "optimizer.safetensors"));
        foreach (string name in model.Names)
        {
            Tensor x = model.Read(name), y = state.Read($"{name}.y"), z = state.Read($"{name}.z");
            TensorAssert.Close(z.mul(0.1).add(x.mul(0.9)), y, 1e-6, name);
            TensorAssert.Apart(x, y, 1e-7);
        }
        using TrainState fresh = tiny.NewState();
        ModelWeights.Load(fresh.Model, Path.Combine(directory, "model.safetensors"));
        ValidationSet validation = ValidationSet.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, batchRows: 8, batches: 4);
        Assert.Equal(sink.Evaluations[^1].ValidationLoss, LossEvaluator.Evaluate(fresh.Model, validation, CPU).MeanLoss);
    }
}
