using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Evaluation.Losses;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Loop;

public sealed class TraineeTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly PreparedData data;

    public TraineeTests()
    {
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dropout = 0 } };
        data = tiny.Prepare();
    }

    public void Dispose()
    {
        data.Dispose();
        tiny.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Micro_batches_add_up_to_one_big_batch(int micro)
    {
        (double loss, double norm, float[] weights) whole = ThreeSteps(microBatch: 16), parts = ThreeSteps(micro);

        Assert.Equal(whole.loss, parts.loss, 1e-5);
        Assert.Equal(whole.norm, parts.norm, 1e-4);
        // Adam divides by the gradient's own size: the rounding of an element near zero shows, so compare loosely.
        Assert.All(whole.weights.Zip(parts.weights), pair => Assert.Equal(pair.First, pair.Second, 1e-3));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Targets_weigh_the_same_however_full_their_micro_batch_is(int threads)
    {
        using Trainee trainee = tiny.Trainee(data);
        Batch full = Crops().Next(4), sparse = WithTargets(Crops().Next(4), keep: 3);
        using StepComputation step = Step(trainee.Model, threads);
        using DisposeScope scope = NewDisposeScope();

        double together = step.Differentiate(new BatchWindow([Concatenate(full, sparse)])).Loss.ToDouble();
        float[] gradient = Gradient(trainee.Model);
        double apart = step.Differentiate(new BatchWindow([full, sparse])).Loss.ToDouble();

        Assert.Equal(4 * TinyRun.Context + 3, new BatchWindow([full, sparse]).TargetTokens);
        Assert.Equal(together, apart, 1e-5);
        Assert.All(gradient.Zip(Gradient(trainee.Model)), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
    }

    [Theory]
    [InlineData(2, 12, 0)]
    [InlineData(3, 12, 0)]
    [InlineData(3, 2, 0)]
    [InlineData(3, 12, 0.2)]
    public void Threads_give_the_gradients_of_one_and_the_same_bits_every_time(int threads, int rows, double dropout)
    {
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dropout = dropout } };
        using Trainee trainee = tiny.Trainee(data);
        BatchWindow window = new([Crops().Next(rows), Crops().Next(rows)]);
        using DisposeScope scope = NewDisposeScope();
        using StepComputation one = Step(trainee.Model, 1), several = Step(trainee.Model, threads);

        (Tensor Loss, Tensor Norm) Differentiate(StepComputation step)
        {
            manual_seed(6); // which numbers are dropped
            return step.Differentiate(window);
        }
        (Tensor loss, Tensor norm) = Differentiate(one);
        float[] gradient = Gradient(trainee.Model);
        (Tensor shared, Tensor sharedNorm) = Differentiate(several);
        float[] first = Gradient(trainee.Model);
        GC.Collect(); // tensors that other tests have left
        GC.WaitForPendingFinalizers();
        long live = torch.Tensor.TotalCount;
        for (int again = 0; again < 20; again++)
        {
            using DisposeScope inner = NewDisposeScope();
            Assert.Equal(shared.ToDouble(), Differentiate(several).Loss.ToDouble());
            Assert.Equal(first, Gradient(trainee.Model));
        }

        Assert.Equal(loss.ToDouble(), shared.ToDouble(), 1e-5);
        Assert.Equal(norm.ToDouble(), sharedNorm.ToDouble(), 1e-5);
        Assert.All(gradient.Zip(first), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
        Assert.Equal(live, torch.Tensor.TotalCount);
    }

    [Theory]
    [InlineData(2, 10_000_000, true)]
    [InlineData(2, 64 << 20, true)]
    [InlineData(2, (64 << 20) + 1, false)] // 256 MiB of gradients for each thread
    [InlineData(16, 10_000_000, true)]
    [InlineData(16, 20_000_000, false)] // 1 GiB for all beside the first
    public void Threads_share_rows_where_their_gradients_are_small(int available, long parameters, bool shares)
    {
        TrainingOptions options = tiny.Recipe.Training with { MicroBatchSize = 16 };
        Assert.Equal(shares ? available : 1, StepComputation.Threads(DeviceType.CPU, options, parameters, available));
        Assert.Equal(1, StepComputation.Threads(DeviceType.CUDA, options, parameters, available));
        Assert.Equal(1, StepComputation.Threads(DeviceType.CPU, options with { MicroBatchSize = 1 }, parameters, available));
    }

    [Fact]
    public void Gradients_are_clipped_to_the_limit_and_measured_before()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { GradientClip = 0.01 } };
        using Trainee trainee = tiny.Trainee(data);

        trainee.TakeStep(0);

        using DisposeScope scope = NewDisposeScope();
        double after = Math.Sqrt(trainee.Model.parameters().Sum(p => p.grad!.square().sum().ToDouble()));
        Assert.Equal(0.01, after, 1e-5);
        Assert.InRange(trainee.Read().GradientNorm, 0.1, double.MaxValue);
    }

    [Fact]
    public void A_step_that_is_not_finite_changes_nothing_and_is_counted()
    {
        using Trainee trainee = tiny.Trainee(data);
        trainee.TakeStep(1e-3);
        TorchSharp.Modules.Parameter norm = trainee.Model.parameters().First(p => p.dim() == 1);
        using Tensor sound = norm.detach().clone();
        float[][] before = State(trainee, except: norm);

        using (no_grad()) norm.fill_(float.NaN);
        trainee.TakeStep(1e-3);
        trainee.TakeStep(1e-3);

        Assert.Equal(before, State(trainee, except: norm));
        StepFigures.Reading reading = trainee.Read();
        Assert.True(double.IsNaN(reading.Loss));
        Assert.Equal((2, 2, 3L), (reading.Skipped, reading.InARow, trainee.Step));

        using (no_grad()) norm.copy_(sound);
        trainee.TakeStep(1e-3);
        Assert.True(double.IsFinite(trainee.Read().Loss));
        Assert.Equal((2, 0), (trainee.Read().Skipped, trainee.Read().InARow));
        Assert.NotEqual(before, State(trainee, except: norm));
    }

    private static StepComputation Step(LanguageModel model, int threads) =>
        threads == 1 ? new SequentialStep(model, CPU) : new ThreadedStep(model, threads);

    [Fact]
    public void Captured_state_survives_JSON_exactly()
    {
        using Trainee trainee = tiny.Trainee(data);
        trainee.Best = (0.1 + 0.2, 3);
        trainee.TakeStep(1e-3);
        CheckpointState state = trainee.Capture();

        state.Save(Path.Combine(tiny.Root, "state.json"));
        CheckpointState read = CheckpointState.Load(tiny.Root);

        Assert.Equal(state.Random.Cpu, read.Random.Cpu);
        Assert.Equal(state with { Random = read.Random }, read);
    }

    [Fact]
    public void Live_tensors_stay_flat_over_many_steps()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { BatchSize = 2, MicroBatchSize = 1 } };
        using Trainee trainee = tiny.Trainee(data);
        for (int i = 0; i < 3; i++) trainee.TakeStep(1e-3);
        long live = torch.Tensor.TotalCount;

        for (int i = 0; i < 320; i++)
        {
            trainee.TakeStep(1e-3);
            trainee.Read();
            Assert.Equal(live, torch.Tensor.TotalCount);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Label_smoothing_spreads_a_share_of_each_target_in_training_and_not_in_validation(int threads)
    {
        using LanguageModel model = tiny.Recipe.Model.Build(data.Tokenizer.VocabularySize);
        Batch batch = Crops().Next(4);
        using StepComputation step = threads > 1
            ? new ThreadedStep(model, threads, labelSmoothing: 0.2)
            : new SequentialStep(model, CPU, labelSmoothing: 0.2);
        using DisposeScope scope = NewDisposeScope();
        Tensor logProbabilities = nn.functional.log_softmax(model.forward(tensor(batch.Inputs, [4, TinyRun.Context])), -1);
        double plain = -logProbabilities.gather(-1, tensor(batch.Targets, [4, TinyRun.Context, 1])).mean().ToDouble();
        double uniform = -logProbabilities.mean().ToDouble();

        Assert.Equal(0.8 * plain + 0.2 * uniform, step.Differentiate(new BatchWindow([batch])).Loss.ToDouble(), 1e-5);
        Assert.Equal(plain, LossMeter.Measure(model, [batch], CPU).MeanLoss, 1e-5);
    }

    [Fact]
    public void Bfloat16_learns_on_float32_weights()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Precision = Precision.BFloat16 } };
        using Trainee trainee = tiny.Trainee(data);
        trainee.TakeStep(3e-3);
        double first = trainee.Read().Loss;
        for (int i = 0; i < 30; i++) trainee.TakeStep(3e-3);

        Assert.InRange(trainee.Read().Loss, 0, first - 1);
        Assert.All(trainee.Model.parameters(), p => Assert.Equal(ScalarType.Float32, p.dtype));
        // Norms start at exactly 1, where a bfloat16 weight would stay: its next value is 1/256 away.
        Assert.Contains(trainee.Model.parameters().Where(p => p.dim() == 1), p => p.data<float>().ToArray().Any(w => w != 1));
    }

    private (double Loss, double Norm, float[] Weights) ThreeSteps(int microBatch)
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { MicroBatchSize = microBatch } };
        using Trainee trainee = tiny.Trainee(data);
        for (int i = 0; i < 3; i++) trainee.TakeStep(1e-3);
        StepFigures.Reading reading = trainee.Read();
        return (reading.Loss, reading.GradientNorm, [.. trainee.Model.parameters().SelectMany(p => p.data<float>().ToArray())]);
    }

    private BatchStream Crops() => BatchStream.Create(data, tiny.Recipe.Data, TinyRun.Context, 1);

    private static Batch WithTargets(Batch batch, int keep)
    {
        long[] targets = [.. batch.Targets.Select((target, i) => i < keep ? target : Batch.Ignored)];
        return new Batch(batch.Inputs, targets, batch.Rows, batch.Columns);
    }

    private static Batch Concatenate(Batch a, Batch b) =>
        new([.. a.Inputs, .. b.Inputs], [.. a.Targets, .. b.Targets], a.Rows + b.Rows, a.Columns);

    private static float[] Gradient(LanguageModel model) => [.. model.parameters().SelectMany(p => p.grad!.data<float>().ToArray())];

    private static float[][] State(Trainee trainee, Tensor except) =>
    [
        .. trainee.Model.parameters().Where(p => !ReferenceEquals(p, except)).Select(p => p.data<float>().ToArray()),
        .. trainee.Optimizer.State.Select(state => state.Value.data<float>().ToArray()),
    ];
}
