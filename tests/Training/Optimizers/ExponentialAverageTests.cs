using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Evaluation;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class ExponentialAverageTests
{
    [Fact]
    public void It_forgets_the_first_weights_early_and_then_keeps_the_decay()
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = [("weight", new(full([1], 4f)))];
        using Optimizer optimizer = new SgdOptions { Momentum = 0, Average = new() { Decay = 0.4 } }.Build(parameters);
        double weight = 4, average = 4;

        for (int step = 1; step <= 12; step++)
        {
            parameters[0].Value.grad = full([1], 0.5f * step - 2);
            optimizer.Step(0.1, tensor(0f));

            weight -= 0.1 * (0.5 * step - 2);
            double remains = Math.Min(0.4, (1.0 + step) / (10 + step));
            average += (1 - remains) * (weight - average);
            Assert.Equal(weight, parameters[0].Value.ToDouble(), 1e-5);
            using (optimizer.UseAverages()) Assert.Equal(average, parameters[0].Value.ToDouble(), 1e-5);
            Assert.Equal(weight, parameters[0].Value.ToDouble(), 1e-5);
        }
    }

    [Fact]
    public void Training_goes_as_without_it_and_no_step_is_taken_with_averages()
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = Optimizers.Parameters(), plain = Optimizers.Parameters();
        using Optimizer optimizer = new AdamWOptions { Average = new() }.Build(parameters), alone = new AdamWOptions().Build(plain);

        Optimizers.TakeSteps(optimizer, parameters, from: 1, count: 3);
        Optimizers.TakeSteps(alone, plain, from: 1, count: 3);
        using (optimizer.UseAverages())
        {
            Assert.Null(optimizer.UseAverages());
            Assert.Throws<InvalidOperationException>(() => optimizer.Step(0.1, tensor(0f)));
        }

        foreach (((_, Parameter expected), (_, Parameter actual)) in plain.Zip(parameters))
            Assert.Equal(expected.data<float>().ToArray(), actual.data<float>().ToArray());
    }

    [Fact]
    public void A_checkpoint_has_the_averages_that_were_evaluated_and_the_weights_in_training_beside_them()
    {
        using TinyRun tiny = new(dropout: 0);
        RecordingSink sink = new();
        using (TinyRun plain = new(dropout: 0))
        {
            tiny.Recipe = tiny.Recipe with { Optimizer = tiny.Recipe.Optimizer with { Average = new() { Decay = 0.7 } } };
            tiny.Train(sink: sink);
            plain.Train();
            using DisposeScope scope = NewDisposeScope();
            using SafetensorsFile trained = SafetensorsFile.Open(Path.Combine(plain.Store().DirectoryOf(12), "model.safetensors")),
                model = SafetensorsFile.Open(Path.Combine(tiny.Store().DirectoryOf(12), "model.safetensors")),
                state = SafetensorsFile.Open(Path.Combine(tiny.Store().DirectoryOf(12), "optimizer.safetensors"));
            foreach (string name in model.Names)
            {
                Assert.Equal(Numbers(trained.Read(name)), Numbers(state.Read($"{name}.trained")));
                Assert.NotEqual(Numbers(trained.Read(name)), Numbers(model.Read(name)));
            }
        }
        using TrainState fresh = tiny.NewState();
        ModelWeights.Load(fresh.Model, Path.Combine(tiny.Store().DirectoryOf(12), "model.safetensors"));
        ValidationSet validation = ValidationSet.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, batchRows: 8, batches: 4);
        Assert.Equal(sink.Evaluations[^1].ValidationLoss, LossEvaluator.Evaluate(fresh.Model, validation, CPU).MeanLoss);
    }

    private static float[] Numbers(Tensor values) => values.reshape(-1).data<float>().ToArray();
}
