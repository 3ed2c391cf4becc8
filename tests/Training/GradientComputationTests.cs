using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Evaluation;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Tests;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

public sealed class GradientComputationTests : IDisposable
{
    private readonly TinyRun tiny = new(dropout: 0);

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Targets_weigh_the_same_however_full_their_micro_batch_is(int threads)
    {
        using TrainState training = tiny.NewState();
        Batch full = Crops().Next(4), sparse = WithTargets(Crops().Next(4), keep: 3);
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        GradientComputation gradients = GradientComputation.Create(training.Model, CPU, workers);
        using DisposeScope scope = NewDisposeScope();

        double together = gradients.Compute(new StepBatch([Concatenate(full, sparse)])).Loss.ToDouble();
        float[] gradient = TinyRun.Gradient(training.Model);
        double apart = gradients.Compute(new StepBatch([full, sparse])).Loss.ToDouble();

        Assert.Equal(4 * TinyRun.Context + 3, new StepBatch([full, sparse]).TargetTokens);
        Assert.Equal(together, apart, 1e-5);
        TensorAssert.Equal(gradient, TinyRun.Gradient(training.Model), 1e-5);
    }

    [Theory]
    [InlineData(2, 12, 0)]
    [InlineData(3, 12, 0)]
    [InlineData(3, 2, 0)]
    [InlineData(3, 12, 0.2)]
    public void Threads_give_the_gradients_of_one_and_the_same_bits_every_time(int threads, int rows, double dropout)
    {
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dropout = dropout } };
        using TrainState training = tiny.NewState();
        StepBatch batch = new([Crops().Next(rows), Crops().Next(rows)]);
        using DisposeScope scope = NewDisposeScope();
        using WorkerThreads workers = new(threads);
        GradientComputation one = GradientComputation.Create(training.Model, CPU, null),
            several = GradientComputation.Create(training.Model, CPU, workers);

        StepLoss Compute(GradientComputation gradients)
        {
            manual_seed(6); // which numbers are dropped
            return gradients.Compute(batch);
        }
        (Tensor loss, Tensor norm, _) = Compute(one);
        float[] gradient = TinyRun.Gradient(training.Model);
        (Tensor shared, Tensor sharedNorm, _) = Compute(several);
        float[] first = TinyRun.Gradient(training.Model);
        Finalizers.Run();
        long live = LiveTensors.Count();
        for (int again = 0; again < 20; again++)
        {
            using DisposeScope inner = NewDisposeScope();
            Assert.Equal(shared.ToDouble(), Compute(several).Loss.ToDouble());
            Assert.Equal(first, TinyRun.Gradient(training.Model));
        }

        Assert.Equal(loss.ToDouble(), shared.ToDouble(), 1e-5);
        Assert.Equal(norm.ToDouble(), sharedNorm.ToDouble(), 1e-5);
        TensorAssert.Equal(gradient, first, 1e-5);
        Assert.Equal(live, LiveTensors.Count());
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
        Assert.Equal(shares ? available : 1, GradientComputation.Threads(DeviceType.CPU, options, parameters, available));
        Assert.Equal(1, GradientComputation.Threads(DeviceType.CUDA, options, parameters, available));
        Assert.Equal(1, GradientComputation.Threads(DeviceType.CPU, options with { MicroBatchSize = 1 }, parameters, available));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Label_smoothing_spreads_a_share_of_each_target_in_training_and_not_in_validation(int threads)
    {
        using LanguageModel model = tiny.Recipe.Model.Build(tiny.Data.Tokenizer.VocabularySize);
        Batch batch = Crops().Next(4);
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        GradientComputation gradients = GradientComputation.Create(model, CPU, workers, new TokenCrossEntropy(labelSmoothing: 0.2));
        using DisposeScope scope = NewDisposeScope();
        Tensor logProbabilities = nn.functional.log_softmax(model.forward(tensor(batch.Inputs, [4, TinyRun.Context])), -1);
        double plain = -logProbabilities.gather(-1, tensor(batch.Targets, [4, TinyRun.Context, 1])).mean().ToDouble();
        double uniform = -logProbabilities.mean().ToDouble();

        Assert.Equal(0.8 * plain + 0.2 * uniform, gradients.Compute(new StepBatch([batch])).Loss.ToDouble(), 1e-5);
        Assert.Equal(plain, LossEvaluator.Evaluate(model, [batch], CPU).MeanLoss, 1e-5);
    }

    private BatchStream Crops() => BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 1);

    private static Batch WithTargets(Batch batch, int keep)
    {
        long[] targets = [.. batch.Targets.Select((target, i) => i < keep ? target : Batch.Ignored)];
        return new Batch(batch.Inputs, targets, batch.Rows, batch.Columns);
    }

    private static Batch Concatenate(Batch a, Batch b) =>
        new([.. a.Inputs, .. b.Inputs], [.. a.Targets, .. b.Targets], a.Rows + b.Rows, a.Columns);
}
