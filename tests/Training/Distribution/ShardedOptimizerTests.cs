using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Distribution;

/// <summary>The optimizer's state is shared out among ranks (ZeRO-1).</summary>
public sealed class ShardedOptimizerTests : IDisposable
{
    private readonly TinyRun tiny = new(dropout: 0);

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 3)]
    [InlineData(4, 1)]
    [InlineData(3, 4)]
    [InlineData(2, 3, "schedule-free-adamw")]
    [InlineData(3, 2, "lion")]
    [InlineData(2, 4, "sgd")]
    [InlineData(2, 3, "muon-average")]
    [InlineData(3, 1, "muon")]
    [InlineData(2, 3, "adafactor")]
    [InlineData(2, 3, "adamw-8bit")]
    public void A_shared_out_optimizer_is_saved_whole_and_goes_on_with_another_number_of_ranks(
        int before, int after, string optimizer = "adamw")
    {
        ShareOut(optimizer);
        (double[] losses, float[] weights) straight = tiny.TakeSteps(6);
        CheckpointStore store = tiny.Store();

        tiny.OnRanks(before, state =>
        {
            tiny.TakeSteps(3, state);
            Save(state, store);
            return 0;
        });
        (double[] Losses, float[] Weights)[] resumed = tiny.OnRanks(after, state =>
        {
            state.Restore(store.DirectoryOf(3), CheckpointState.Load(store.DirectoryOf(3)));
            return tiny.TakeSteps(3, state);
        });

        Assert.All(resumed, rank => Near((straight.losses[3..], straight.weights), rank, optimizer));
    }

    [Theory]
    [InlineData("muon", 2)]
    [InlineData("muon", 3)]
    [InlineData("muon-average", 4)]
    [InlineData("adafactor", 3)]
    [InlineData("adamw-8bit", 2)]
    public void Ranks_with_whole_matrices_take_the_steps_of_one_process(string optimizer, int ranks)
    {
        ShareOut(optimizer);
        (double[] losses, float[] weights) one = tiny.TakeSteps(5);

        (double[] Losses, float[] Weights)[] all = tiny.OnRanks(ranks, state => tiny.TakeSteps(5, state));

        foreach ((double[] losses, float[] weights) in all)
        {
            Near(one, (losses, weights), optimizer);
            Assert.Equal(all[0].Losses, losses);
            Assert.Equal(all[0].Weights, weights);
        }
    }

    [Theory]
    [InlineData("muon", ".momentum_buffer")]
    [InlineData("adafactor", ".step")]
    [InlineData("adamw-8bit", ".exp_avg_scale")]
    public void What_is_needed_whole_is_on_one_rank_and_is_loaded_by_any_number_bit_for_bit(string optimizer, string kind)
    {
        ShareOut(optimizer);
        CheckpointStore store = tiny.Store();

        string[][] own = tiny.OnRanks(2, state =>
        {
            tiny.TakeSteps(2, state);
            Save(state, store);
            return state.Optimizer.State.Select(entry => entry.Name).Where(name => name.EndsWith(kind, StringComparison.Ordinal)).ToArray();
        });
        Dictionary<string, byte[]>[] loaded = tiny.OnRanks(3, state =>
        {
            state.Restore(store.DirectoryOf(3), CheckpointState.Load(store.DirectoryOf(3)));
            using CheckpointTensors tensors = state.Tensors();
            return tensors.Optimizer.ToDictionary(entry => entry.Name, entry => Bytes(entry.Value));
        });

        using SafetensorsFile saved = SafetensorsFile.Open(Path.Combine(store.DirectoryOf(3), CheckpointFiles.Optimizer));
        using TrainState whole = tiny.NewState();
        Assert.All(own, names => Assert.NotEmpty(names));
        Assert.Equal(
            saved.Names.Where(name => name.EndsWith(kind, StringComparison.Ordinal)).Order(), own.SelectMany(names => names).Order());
        Assert.Equal(
            whole.Optimizer.State.Select(entry => $"{entry.Name} {entry.Value.dtype} [{string.Join(", ", entry.Value.shape)}]").Order(),
            saved.Names.Select(name => $"{name} {saved.Info(name).Type} [{string.Join(", ", saved.Info(name).Shape)}]").Order());
        Assert.Equal(saved.Names.Order(), loaded[0].Keys.Order());
        Assert.All(saved.Names, name =>
        {
            using torch.Tensor value = saved.Read(name);
            Assert.Equal(Bytes(value), loaded[0][name]);
        });
    }

    [Theory]
    [InlineData("muon")]
    [InlineData("adamw-8bit")]
    public void Plan_counts_the_state_of_the_rank_that_has_most(string optimizer)
    {
        ShareOut(optimizer);
        int vocabulary = tiny.Data.Tokenizer.VocabularySize;

        long[] bytes = tiny.OnRanks(4, state => state.Optimizer.State.Sum(entry => entry.Value.numel() * entry.Value.element_size()));
        SharedState planned = SharedState.Of(
            tiny.Recipe.Resolve(), RunPlan.Counts(ModelCost.Of(tiny.Recipe.Model, vocabulary)), vocabulary, ranks: 4);

        Assert.InRange(sizeof(float) * planned.Numbers, 0.99 * bytes.Max(), 1.01 * bytes.Max());
        Assert.True(bytes.Max() > 1.02 * bytes.Average()); // more than an equal share
    }

    [Fact]
    public void Plan_counts_the_traffic_of_whole_weights()
    {
        ShareOut("adafactor");

        RanksPlan plan = RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets"), ranks: 4).Processes!;

        Assert.Equal(plan.GradientBytes, plan.WholeBytes);
        Assert.Equal(3 * plan.GradientBytes * 3 / 4, plan.TrafficBytes);
    }

    [Fact]
    public void Histograms_of_gradients_that_no_rank_has_are_refused()
    {
        tiny.UseTraining(training => training with { ShardOptimizer = true });
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { HistogramEvery = 5, TensorBoard = true } };

        AggregateException error = Assert.Throws<AggregateException>(() => ThreadRanks.Run(2, group => TrainingSession.Run(
            new TrainingRequest(tiny.Recipe, tiny.RunPath()) { Processes = group })));

        Assert.All(error.InnerExceptions, inner => Assert.Contains(
            "monitoring.histogramEvery: no process has all gradients", inner.Message, StringComparison.Ordinal));
        Assert.False(Directory.Exists(tiny.RunPath()));
    }

    [Fact]
    public void The_state_of_all_ranks_is_the_state_of_one_and_each_keeps_its_share()
    {
        tiny.UseTraining(training => training with { ShardOptimizer = true });
        Dictionary<string, float[]> one;
        using (TrainState state = tiny.NewState())
        {
            tiny.TakeSteps(2, state);
            one = Values(state.Optimizer.State);
        }

        (Dictionary<string, float[]> Collected, long Own)[] all = tiny.OnRanks(4, state =>
        {
            tiny.TakeSteps(2, state);
            using CheckpointTensors tensors = state.Tensors();
            return (Values(tensors.Optimizer), state.Optimizer.State.Sum(entry => entry.Value.numel()));
        });

        Assert.Equal(one.Keys.Order(), all[0].Collected.Keys.Order());
        Assert.All(one, entry => TensorAssert.Equal(entry.Value, all[0].Collected[entry.Key], 1e-5));
        Assert.All(all[1..], rank => Assert.Empty(rank.Collected));
        long whole = one.Values.Sum(values => (long)values.Length);
        Assert.All(all, rank => Assert.InRange(rank.Own, 0.2 * whole, 0.3 * whole));
    }

    private void ShareOut(string optimizer)
    {
        tiny.UseTraining(training => training with { BatchSize = 24, MicroBatchSize = 12, ShardOptimizer = true });
        tiny.Recipe = tiny.Recipe with
        {
            Optimizer = optimizer switch
            {
                "schedule-free-adamw" => new ScheduleFreeOptions(),
                "lion" => new LionOptions(),
                "sgd" => new SgdOptions(),
                "muon" => new MuonOptions { Precision = Precision.Float32 }, // in bfloat16 the last bits decide on what is nearly 0
                "muon-average" => new MuonOptions { Precision = Precision.Float32, Average = new() { Decay = 0.9 } },
                "adafactor" => new AdafactorOptions(),
                "adamw-8bit" => new AdamWOptions { MomentPrecision = MomentPrecision.Int8 },
                _ => tiny.Recipe.Optimizer,
            },
        };
        // Matrices of 4,096 numbers and more, whose moments have 8 bits.
        if (tiny.Recipe.Optimizer.NeedsWholeMatrices)
            tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dim = 64 } };
    }

    // Where the last bit of a gradient takes a moment of 8 bits to the next code, its weight moves by a part of the learning rate.
    private static void Near((double[] Losses, float[] Weights) expected, (double[] Losses, float[] Weights) actual, string optimizer)
    {
        bool rounds = optimizer == "adamw-8bit";
        TensorAssert.Equal(expected.Losses, actual.Losses, rounds ? 1e-3 : 1e-5);
        if (!rounds)
        {
            TensorAssert.Equal(expected.Weights, actual.Weights, 1e-4);
            return;
        }
        using torch.Tensor want = tensor(expected.Weights), have = tensor(actual.Weights);
        TensorAssert.CloseInNorm(want, have, 5e-3);
    }

    private static void Save(TrainState state, CheckpointStore store)
    {
        using IDisposable? averages = state.UseAverages();
        using CheckpointTensors tensors = state.Tensors();
        if (state.Processes.Rank > 0) return;
        CheckpointState position = state.Capture();
        store.Save(3, [
            new(CheckpointFiles.Model, path => TensorFile.Save(path, tensors.Model)),
            new(CheckpointFiles.Optimizer, path => TensorFile.Save(path, tensors.Optimizer)),
            new(CheckpointFiles.State, position.Save)]);
    }

    private static byte[] Bytes(torch.Tensor value) => value.contiguous().bytes.ToArray();

    private static Dictionary<string, float[]> Values(IEnumerable<(string Name, torch.Tensor Value)> state) =>
        state.ToDictionary(entry => entry.Name, entry => entry.Value.contiguous().data<float>().ToArray());
}
