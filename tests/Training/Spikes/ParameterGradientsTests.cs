using TorchSharp.Modules;
using Trainer.Models.FeedForward;
using Trainer.Training.Optimizers;
using Trainer.Training.Spikes;
using Trainer.Training.Tests.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Spikes;

public sealed class ParameterGradientsTests : IDisposable
{
    private readonly TinyRun tiny = new(dropout: 0);

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Numbers_that_are_not_finite_are_counted_under_the_names_of_their_parameters()
    {
        using TrainState state = tiny.NewState();
        Parameter[] parameters = [.. state.Model.parameters()];
        foreach (Parameter parameter in parameters) parameter.grad = zeros_like(parameter);
        parameters[1].grad![0] = float.NaN;
        parameters[2].grad!.view(-1)[3] = -7;
        parameters[3].grad = null;

        IReadOnlyList<ParameterRecord> measured = ParameterGradients.Measure(state.Model, exchange: null);

        string[] names = [.. state.Model.named_parameters().Select(p => p.name)];
        Assert.Equal(names.Where((_, index) => index != 3), measured.Select(parameter => parameter.Name));
        Assert.Equal(new TensorFigures(0, 0, parameters[1].numel() / parameters[1].shape[0]), measured[1].Gradient);
        Assert.Equal(new TensorFigures(7, 7, 0), measured[2].Gradient);
        Assert.All(measured.Where((_, index) => index is not (1 or 2)), parameter => Assert.Equal(default, parameter.Gradient));
    }

    [Theory]
    [InlineData(16)]
    [InlineData(4)]
    public void They_are_what_a_step_of_gradient_descent_changes_the_weights_by_whatever_the_micro_batches(int microBatch)
    {
        const double Rate = 1000; // so that little is lost in the weights' last bits
        Use(microBatch, shard: false);
        double[] changes;
        using (TrainState descended = tiny.NewState())
        {
            float[][] before = Values(descended);
            descended.TakeStep(Rate);
            changes = [.. before.Zip(Values(descended), (old, now) => Math.Sqrt(old.Zip(now, (o, n) => Math.Pow((n - o) / Rate, 2)).Sum()))];
        }
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { GradientClip = 1e-3 } }; // no part of them

        using TrainState state = tiny.NewState();
        (StepFigures.Reading reading, _, StepMeasurement measured) = state.ExamineNextStep();

        Assert.Equal(changes.Length, measured.Parameters.Count);
        Assert.All(changes.Zip(measured.Parameters), pair =>
            Assert.Equal(pair.First, pair.Second.Gradient.Norm, (1e-5 * pair.First) + 1e-9));
        Assert.Equal(reading.GradientNorm, TensorFigures.Of([.. measured.Parameters.Select(p => p.Gradient)]).Norm, 1e-6);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Ranks_measure_what_one_process_does_also_where_each_has_a_share_of_the_optimizer(bool shard)
    {
        Use(microBatch: 8, shard);
        IReadOnlyList<ParameterRecord> alone;
        using (TrainState state = tiny.NewState()) alone = state.ExamineNextStep().Measured.Parameters;

        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        IReadOnlyList<ParameterRecord>[] ranks = ThreadRanks.Run(2, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state) return state.ExamineNextStep().Measured.Parameters;
        });

        Assert.All(ranks, parameters =>
        {
            Assert.Equal(alone.Select(parameter => parameter.Name), parameters.Select(parameter => parameter.Name));
            Assert.All(alone.Zip(parameters), pair =>
            {
                Assert.Equal(pair.First.Gradient.Norm, pair.Second.Gradient.Norm, 1e-6);
                Assert.Equal(pair.First.Gradient.Largest, pair.Second.Gradient.Largest, 1e-6);
            });
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_skipped_step_keeps_those_from_before_clipping(bool shard)
    {
        Use(microBatch: 8, shard);
        tiny.Recipe = tiny.Recipe with
        {
            Model = tiny.Recipe.Model with { FeedForward = new ReluOptions() },
            Training = tiny.Recipe.Training with { GradientClip = 1 },
        };
        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        StepMeasurement measured = ThreadRanks.Run(2, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state)
            {
                // What lies between two matrices is huge, and so is the gradient of the second alone; no number is infinite but the norm.
                Dictionary<string, Parameter> parameters = state.Model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
                using (no_grad())
                {
                    parameters["blocks.1.feedForward.up.weight"].mul_(1e30);
                    parameters["blocks.1.feedForward.down.weight"].mul_(1e-30);
                }
                state.TakeStep(1e-3);
                Assert.Equal((double.PositiveInfinity, 1), (state.Read().GradientNorm, state.Read().InARow));
                return state.MeasureLastStep();
            }
        })[0];

        Assert.Equal("blocks.1.feedForward.down.weight", measured.Parameters.MaxBy(parameter => parameter.Gradient.Norm)!.Name);
        Assert.All(measured.Parameters, parameter =>
        {
            (double norm, _, long nonFinite) = parameter.Gradient;
            Assert.Equal(0, nonFinite);
            Assert.True(parameter.Name.Contains("1.feedForward.down.weight") ? norm > 1e20 : norm is > 0 and < 100, $"{parameter}");
        });
    }

    [Fact]
    public void A_step_that_is_taken_has_none_to_keep()
    {
        using TrainState state = tiny.NewState();
        state.TakeStep(0); // the weights stay, so that it can be measured
        Assert.Empty(state.MeasureLastStep().Parameters);
    }

    private void Use(int microBatch, bool shard) => tiny.Recipe = tiny.Recipe with
    {
        Optimizer = new SgdOptions { Momentum = 0 },
        Training = tiny.Recipe.Training with { MicroBatchSize = microBatch, ShardOptimizer = shard, GradientClip = 0 },
    };

    private static float[][] Values(TrainState state) => [.. state.Model.parameters().Select(p => p.data<float>().ToArray())];
}
