using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Training models with experts: what routers add to the objective, and what follows the load.</summary>
public sealed class ExpertsTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Routers_losses_are_trained_on_but_not_reported(int threads)
    {
        (double Loss, float[] Router, float[] Norm) plain = OneStep(threads, 0), weighted = OneStep(threads, 5);
        Assert.Equal(plain.Loss, weighted.Loss);
        Assert.NotEqual(plain.Router, weighted.Router);
        Assert.Equal(plain.Norm, weighted.Norm); // the norm after the last block lies behind all routers
    }

    [Fact]
    public void Threads_and_micro_batches_share_out_a_sequence_balance_exactly()
    {
        Use(new ExpertsOptions { HiddenDim = 16, Balance = new LossBalanceOptions { Coefficient = 1, Over = BalanceScope.Sequence },
            RouterZLoss = 1 });
        using PreparedData data = tiny.Prepare();
        using TrainState training = tiny.NewState(data);
        using DisposeScope scope = NewDisposeScope();
        Batch first = Rows(data).Next(4), second = Rows(data).Next(8);
        using WorkerThreads threads = new(3);
        GradientComputation one = GradientComputation.Create(training.Model, CPU, null),
            several = GradientComputation.Create(training.Model, CPU, threads);
        one.Compute(new StepBatch([first, second]));
        float[] gradient = TinyRun.Gradient(training.Model);
        training.Model.EndStep(zeros([]));
        IReadOnlyList<ExpertReport> load = training.Model.Experts();
        several.Compute(new StepBatch([first, second]));
        training.Model.EndStep(zeros([]));

        TensorAssert.Equal(gradient, TinyRun.Gradient(training.Model), 1e-5);
        Assert.Equal(load.Select(layer => layer.Tokens), training.Model.Experts().Select(layer => layer.Tokens));
        Assert.All(load, layer => Assert.Equal(12 * TinyRun.Context * 2, layer.Tokens.Sum()));
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void Padding_is_no_load_and_rows_without_it_keep_their_bits(int threads, bool checkpointing)
    {
        Use(new ExpertsOptions { HiddenDim = 16, Balance = new LossBalanceOptions { Coefficient = 1 }, RouterZLoss = 1 });
        using TrainState training = tiny.NewState();
        training.Model.ActivationCheckpointing = checkpointing;
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        GradientComputation gradients = GradientComputation.Create(training.Model, CPU, workers);
        (float[] Gradient, IReadOnlyList<long> Load) Compute(Batch batch)
        {
            using DisposeScope scope = NewDisposeScope();
            gradients.Compute(new StepBatch([batch]));
            training.Model.EndStep(zeros([]));
            return (TinyRun.Gradient(training.Model), training.Model.Experts()[0].Tokens);
        }
        Batch rows = Rows(tiny.Data).Next(4);
        (float[] gradient, _) = Compute(rows);
        Assert.Equal(gradient, Compute(rows with { Lengths = [16, 16, 16, 16] }).Gradient);
        Assert.Equal((16 + 5 + 9 + 1) * 2, Compute(Padded(rows, [16, 5, 9, 1])).Load.Sum());
    }

    [Fact]
    public void A_padded_row_is_trained_as_the_row_alone()
    {
        Use(new ExpertsOptions { HiddenDim = 16, Balance = new LossBalanceOptions { Coefficient = 1 }, RouterZLoss = 1 });
        using TrainState training = tiny.NewState();
        using DisposeScope scope = NewDisposeScope();
        GradientComputation gradients = GradientComputation.Create(training.Model, CPU, null);
        Batch row = Rows(tiny.Data).Next(1);
        gradients.Compute(new StepBatch([new Batch(row.Inputs[..6], row.Targets[..6], 1, 6)]));
        float[] alone = TinyRun.Gradient(training.Model);
        gradients.Compute(new StepBatch([Padded(row, [6])]));
        TensorAssert.Equal(alone, TinyRun.Gradient(training.Model), 1e-5);
    }

    [Fact]
    public void The_bias_moves_once_a_step_and_not_in_one_that_went_wrong()
    {
        Use(new ExpertsOptions { HiddenDim = 16, Balance = new BiasBalanceOptions { Rate = 0.5 } });
        using PreparedData data = tiny.Prepare();
        using TrainState training = tiny.NewState(data);
        training.TakeStep(1e-3);
        float[] bias = Bias(training);
        Assert.All(bias, value => Assert.Contains(value, (float[])[-0.5f, 0, 0.5f]));
        Assert.Contains(bias, value => value != 0);

        using (no_grad()) training.Model.parameters().First(p => p.dim() == 1).fill_(float.NaN);
        training.TakeStep(1e-3);
        Assert.Equal(1, training.Read().Skipped);
        Assert.Equal(bias, Bias(training));
    }

    [Fact]
    public void Without_balance_an_expert_starves() =>
        Assert.Contains(AfterTraining(new NoBalanceOptions()), layer => layer.Idle > 0);

    [Fact]
    public void A_bias_keeps_all_experts_in_use() => AllAreUsed(new BiasBalanceOptions { Rate = 0.003 });

    [Fact]
    public void A_loss_keeps_all_experts_in_use() => AllAreUsed(new LossBalanceOptions { Coefficient = 0.05 });

    private void AllAreUsed(BalanceOptions balance) => Assert.All(
        AfterTraining(balance), layer => Assert.True(layer is { Idle: 0, Busiest: < 1.8 }, string.Join(", ", layer.Tokens)));

    private IReadOnlyList<ExpertReport> AfterTraining(BalanceOptions balance)
    {
        Use(new ExpertsOptions { Experts = 4, HiddenDim = 16, Balance = balance });
        using TrainState training = tiny.NewState();
        for (int i = 0; i < 200; i++) training.TakeStep(3e-3);
        return training.Model.Experts();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Live_tensors_stay_flat(int threads)
    {
        Use(new ExpertsOptions { HiddenDim = 16, Shared = 1, Groups = 4, ActiveGroups = 2 });
        using PreparedData data = tiny.Prepare();
        using TrainState training = tiny.NewState(data);
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        GradientComputation gradients = GradientComputation.Create(training.Model, CPU, workers);
        StepBatch batch = new([Rows(data).Next(4)]);
        Finalizers.Run();
        long live = 0;
        for (int i = 0; i < 10; i++)
        {
            using (NewDisposeScope())
            {
                gradients.Compute(batch);
                training.Model.EndStep(zeros([]));
            }
            if (i == 2) live = LiveTensors.Count();
            if (i > 2) Assert.Equal(live, LiveTensors.Count());
        }
    }

    [Fact]
    public void A_killed_and_resumed_run_goes_on_with_its_biases()
    {
        Use(new ExpertsOptions { HiddenDim = 16, Balance = new BiasBalanceOptions { Rate = 0.1 } });
        tiny.Train("whole");
        using StopSignal stop = new();
        tiny.Train("stopped", sink: new RecordingSink { OnStep = metrics => { if (metrics.Step == 7) stop.Request(); } }, stop: stop);
        tiny.Train("stopped", resume: true);
        byte[] Bytes(string run) => File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(12), "model.safetensors"));
        Assert.Equal(Bytes("whole"), Bytes("stopped"));
    }

    [Fact]
    public void Every_report_tells_the_load_of_every_layer_and_TensorBoard_shows_it()
    {
        Use(new ExpertsOptions { HiddenDim = 16 });
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { TensorBoard = true } };
        RecordingSink sink = new();
        tiny.Train(sink: sink);

        Assert.Equal(12 * 2, sink.ExpertReports.Count);
        Assert.Equal(["blocks.0.feedForward", "blocks.1.feedForward"], sink.ExpertReports.Take(2).Select(entry => entry.Layer.Layer));
        Assert.All(sink.ExpertReports, entry => Assert.Equal(16 * TinyRun.Context * 2, entry.Layer.Tokens.Sum()));

        ILookup<string, long> shown = EventFileReader.ReadDirectory(tiny.RunPath()).ToLookup(value => value.Tag, value => value.Step);
        string[] tags = ["experts/layer0/tokens", "experts/layer1/tokens", "experts/layer1/busiest", "experts/layer1/idle"];
        Assert.All(tags, tag => Assert.Equal(Enumerable.Range(1, 12).Select(step => (long)step), shown[tag]));
    }

    private (double Loss, float[] Router, float[] Norm) OneStep(int threads, double coefficient)
    {
        Use(new ExpertsOptions { HiddenDim = 16, Balance = new LossBalanceOptions { Coefficient = coefficient },
            RouterZLoss = coefficient });
        using PreparedData data = tiny.Prepare();
        using TrainState training = tiny.NewState(data);
        using DisposeScope scope = NewDisposeScope();
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        GradientComputation gradients = GradientComputation.Create(training.Model, CPU, workers);
        double loss = gradients.Compute(new StepBatch([Rows(data).Next(4)])).Loss.ToDouble();
        float[] Of(string name) =>
            training.Model.named_parameters().Single(entry => entry.name == name).parameter.grad!.data<float>().ToArray();
        return (loss, Of("blocks.0.feedForward.router.weight"), Of("norm.weight"));
    }

    private void Use(ExpertsOptions experts) =>
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dropout = 0, FeedForward = experts } };

    private static Batch Padded(Batch batch, int[] lengths)
    {
        long[] inputs = [.. batch.Inputs], targets = [.. batch.Targets];
        foreach ((int row, int length) in lengths.Index())
        {
            Range padding = (row * batch.Columns + length)..((row + 1) * batch.Columns);
            inputs.AsSpan(padding).Clear();
            targets.AsSpan(padding).Fill(Batch.Ignored);
        }
        return new Batch(inputs, targets, batch.Rows, batch.Columns) { Lengths = lengths };
    }

    private BatchStream Rows(PreparedData data) => BatchStream.Create(data, tiny.Recipe.Data, TinyRun.Context, 1);

    private static float[] Bias(TrainState training) => [.. training.Model.state_dict()
        .Where(entry => entry.Key.EndsWith("router.balance", StringComparison.Ordinal)).SelectMany(
            entry => entry.Value.data<float>().ToArray())];
}
