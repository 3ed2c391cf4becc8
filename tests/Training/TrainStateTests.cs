using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.Devices;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

public sealed class TrainStateTests : IDisposable
{
    private readonly TinyRun tiny = new(dropout: 0);

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Micro_batches_add_up_to_one_big_batch(int micro)
    {
        (double loss, double norm, float[] weights) whole = ThreeSteps(microBatch: 16), parts = ThreeSteps(micro);

        Assert.Equal(whole.loss, parts.loss, 1e-5);
        Assert.Equal(whole.norm, parts.norm, 1e-4);
        // Adam divides by the gradient's own size: the rounding of an element near zero shows, so compare loosely.
        TensorAssert.Equal(whole.weights, parts.weights, 1e-3);
    }

    [Fact]
    public void Gradients_are_clipped_to_the_limit_and_measured_before()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { GradientClip = 0.01 } };
        using TrainState training = tiny.NewState();

        training.TakeStep(0);

        using DisposeScope scope = NewDisposeScope();
        double after = Math.Sqrt(training.Model.parameters().Sum(p => p.grad!.square().sum().ToDouble()));
        Assert.Equal(0.01, after, 1e-5);
        Assert.InRange(training.Read().GradientNorm, 0.1, double.MaxValue);
    }

    [Fact]
    public void A_step_that_is_not_finite_changes_nothing_and_is_counted()
    {
        using TrainState training = tiny.NewState();
        training.TakeStep(1e-3);
        TorchSharp.Modules.Parameter norm = training.Model.parameters().First(p => p.dim() == 1);
        using Tensor sound = norm.detach().clone();
        float[][] before = State(training, except: norm);

        using (no_grad()) norm.fill_(float.NaN);
        training.TakeStep(1e-3);
        training.TakeStep(1e-3);

        Assert.Equal(before, State(training, except: norm));
        StepFigures.Reading reading = training.Read();
        Assert.True(double.IsNaN(reading.Loss));
        Assert.Equal((2, 2, 3L), (reading.Skipped, reading.InARow, training.Step));

        using (no_grad()) norm.copy_(sound);
        training.TakeStep(1e-3);
        Assert.True(double.IsFinite(training.Read().Loss));
        Assert.Equal((2, 0), (training.Read().Skipped, training.Read().InARow));
        Assert.NotEqual(before, State(training, except: norm));
    }

    [Fact]
    public void Captured_state_survives_JSON_exactly()
    {
        using TrainState training = tiny.NewState();
        training.Best = (0.1 + 0.2, 3);
        training.TakeStep(1e-3);
        CheckpointState state = training.Capture();

        state.Save(Path.Combine(tiny.Root, "state.json"));
        CheckpointState read = CheckpointState.Load(tiny.Root);

        Assert.Equal(state.Random.Cpu, read.Random.Cpu);
        Assert.Equal(state with { Random = read.Random }, read);
    }

    // Two threads have a row of each micro-batch to themselves.
    [Theory]
    [InlineData(1, Precision.Float32)]
    [InlineData(1, Precision.BFloat16)]
    [InlineData(2, Precision.Float32)]
    [InlineData(2, Precision.BFloat16)]
    public void Live_tensors_stay_flat_over_a_thousand_steps(int threads, Precision precision)
    {
        using TinyRun dropping = new(dropout: 0.1);
        dropping.Recipe = dropping.Recipe with
        {
            Training = dropping.Recipe.Training with { BatchSize = 4, MicroBatchSize = 2, Precision = precision },
        };
        set_num_threads(threads);
        try
        {
            using TrainState training = dropping.NewState();
            Assert.StartsWith(threads == 1 ? "every operation on 1 threads" : "each micro-batch in 2 parts", training.Sharing);
            for (int i = 0; i < 3; i++) training.TakeStep(1e-3);
            Finalizers.Run();
            long live = LiveTensors.Count();

            for (int i = 0; i < 1000; i++)
            {
                training.TakeStep(1e-3);
                training.Read();
                Assert.Equal(live, LiveTensors.Count());
            }
        }
        finally
        {
            set_num_threads(1); // as all tests here
        }
    }

    [Fact]
    public void Bfloat16_learns_on_float32_weights()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Precision = Precision.BFloat16 } };
        using TrainState training = tiny.NewState();
        training.TakeStep(3e-3);
        double first = training.Read().Loss;
        for (int i = 0; i < 30; i++) training.TakeStep(3e-3);

        Assert.InRange(training.Read().Loss, 0, first - 1);
        Assert.All(training.Model.parameters(), p => Assert.Equal(ScalarType.Float32, p.dtype));
        // Norms start at exactly 1, where a bfloat16 weight would stay: its next value is 1/256 away.
        Assert.Contains(training.Model.parameters().Where(p => p.dim() == 1), p => p.data<float>().ToArray().Any(w => w != 1));
    }

    private (double Loss, double Norm, float[] Weights) ThreeSteps(int microBatch)
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { MicroBatchSize = microBatch } };
        using TrainState training = tiny.NewState();
        for (int i = 0; i < 3; i++) training.TakeStep(1e-3);
        StepFigures.Reading reading = training.Read();
        return (reading.Loss, reading.GradientNorm, [.. training.Model.parameters().SelectMany(p => p.data<float>().ToArray())]);
    }

    private static float[][] State(TrainState training, Tensor except) =>
    [
        .. training.Model.parameters().Where(p => !ReferenceEquals(p, except)).Select(p => p.data<float>().ToArray()),
        .. training.Optimizer.State.Select(state => state.Value.data<float>().ToArray()),
    ];
}
