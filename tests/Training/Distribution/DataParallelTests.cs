using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Evaluation;
using Trainer.Evaluation.Scheduled;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Devices;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using Trainer.Training.Distribution;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;
using Trainer.Training.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Distribution;

public sealed class DataParallelTests : IDisposable
{
    private const double Rate = 1e-2;

    private readonly TinyRun tiny = new(dropout: 0);

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(2, false)]
    [InlineData(4, false)]
    [InlineData(2, true)]
    [InlineData(3, true, 24, 12)]
    [InlineData(4, true)]
    public void Ranks_take_the_steps_of_one_process(int ranks, bool shards, int batch = 16, int micro = 8)
    {
        Use(training => training with { BatchSize = batch, MicroBatchSize = micro, ShardOptimizer = shards });
        (double[] losses, float[] weights) one = Train(5, null);

        (double[] Losses, float[] Weights)[] all = OnRanks(ranks, state => Train(5, state));

        foreach ((double[] losses, float[] weights) in all)
        {
            TensorAssert.Equal([.. one.losses.Select(loss => (float)loss)], [.. losses.Select(loss => (float)loss)], 1e-5);
            TensorAssert.Equal(one.weights, weights, 1e-4);
            Assert.Equal(all[0].Losses, losses);
            Assert.Equal(all[0].Weights, weights);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Ranks_train_the_adapters_of_one_process(bool shards)
    {
        Use(training => training with { Steps = 1 });
        tiny.Train("base");
        Use(training => training with { ShardOptimizer = shards });
        tiny.Recipe = tiny.Recipe with
        {
            Initialize = new() { From = tiny.RunPath("base") }, Adapter = new LoraOptions { Rank = 2, Targets = ["query", "down"] },
        };
        (double[] losses, float[] weights) one = Train(3, null);

        foreach ((_, float[] weights) in OnRanks(2, state => Train(3, state))) TensorAssert.Equal(one.weights, weights, 1e-4);
    }

    [Fact]
    public void Ranks_learn_from_a_teacher_as_one_process_does()
    {
        Use(training => training with { Steps = 1 });
        tiny.Train("teacher");
        tiny.Recipe = tiny.Recipe with { Seed = 8, Distillation = new() { Teacher = tiny.RunPath("teacher"), Temperature = 2 } };
        (double[] losses, float[] weights) one = Train(3, null);

        foreach ((_, float[] weights) in OnRanks(2, state => Train(3, state))) TensorAssert.Equal(one.weights, weights, 1e-4);
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("kto")]
    public void Ranks_learn_preferences_as_one_process_does(string type)
    {
        string Write(string name, Func<int, object> record)
        {
            string path = Path.Combine(tiny.Root, name);
            File.WriteAllLines(path, Enumerable.Range(0, 40).Select(number => JsonSerializer.Serialize(record(number))));
            return path;
        }
        SourceOptions talks = new()
        {
            Path = Write("talks.jsonl", number => new { instruction = $"q{number}", output = "a" }), Format = SourceFormat.Chat,
        };
        SourceOptions pairs = new()
        {
            Path = Write("pairs.jsonl", number => new { prompt = $"q{number}", chosen = new string('a', 1 + number % 3), rejected = "z" }),
            Format = SourceFormat.Preferences,
        };
        Use(training => training with { Steps = 1 });
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with { ContextLength = 48 },
            Tokenizer = new ByteTokenizerOptions(), Data = new() { Train = [talks] },
        };
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Data = new() { Train = [pairs] }, Initialize = new() { From = tiny.RunPath("base") },
            Preference = ConfigurationJson.Deserialize<PreferenceOptions>($$"""{"type": "{{type}}"}""", "test"),
        };
        (double[] losses, float[] weights) one = Train(3, null);

        foreach ((_, float[] weights) in OnRanks(2, state => Train(3, state))) TensorAssert.Equal(one.weights, weights, 1e-4);
    }

    [Fact]
    public void Two_ranks_are_two_threads_of_one_process_bit_for_bit()
    {
        float[] threads, ranks;
        double norm;
        using (WorkerThreads workers = new(2))
        using (TrainState state = tiny.NewState())
        {
            using DisposeScope scope = NewDisposeScope();
            norm = GradientComputation.Create(state.Model, CPU, workers).Compute(Batch(state)).Norm.ToDouble();
            threads = TinyRun.Gradient(state.Model);
        }

        (float[] Gradient, double Norm)[] both = OnRanks(2, (state, group) =>
        {
            using DisposeScope scope = NewDisposeScope();
            GradientExchange exchange = new(group, state.Model, bucketBytes: 1);
            double own = GradientComputation.Create(state.Model, CPU, null, exchange: exchange).Compute(Batch(state)).Norm.ToDouble();
            return (TinyRun.Gradient(state.Model), own);
        });

        ranks = both[0].Gradient;
        Assert.Equal(threads, ranks);
        Assert.Equal(threads, both[1].Gradient);
        Assert.Equal(norm, both[0].Norm);
    }

    [Fact]
    public void Threads_of_ranks_are_threads_of_one_process()
    {
        float[] one;
        using (TrainState state = tiny.NewState())
        {
            using DisposeScope scope = NewDisposeScope();
            GradientComputation.Create(state.Model, CPU, null).Compute(Batch(state));
            one = TinyRun.Gradient(state.Model);
        }

        float[][] all = OnRanks(2, (state, group) =>
        {
            using DisposeScope scope = NewDisposeScope();
            using WorkerThreads workers = new(2);
            GradientComputation.Create(state.Model, CPU, workers, exchange: new(group, state.Model)).Compute(Batch(state));
            return TinyRun.Gradient(state.Model);
        });

        TensorAssert.Equal(one, all[0], 1e-5);
        Assert.Equal(all[0], all[1]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Blocks_are_sent_while_the_backward_pass_goes_on(bool checkpointing)
    {
        Use(training => training with { ActivationCheckpointing = checkpointing });
        List<string> order = [];
        OnRanks(1, (state, group) =>
        {
            using DisposeScope scope = NewDisposeScope();
            state.Model.ActivationCheckpointing = checkpointing;
            nn.Module[] blocks = [.. state.Model.Blocks];
            torch.Tensor tokens = tensor(new long[] { 1, 2, 3, 4 }, [1, 4]);
            ModelInput input = new(tokens)
            {
                Differentiated = block =>
                {
                    // Every weight of the block has its gradient by now, and those before it have none.
                    int index = Array.IndexOf(blocks, block);
                    Assert.All(block.parameters(), parameter => Assert.NotNull(parameter.grad));
                    Assert.All(blocks[..index].SelectMany(earlier => earlier.parameters()), parameter => Assert.Null(parameter.grad));
                    order.Add($"{index}");
                },
            };
            Differentiation.Backward(state.Model.LossSum(input, tokens));
            return 0;
        });

        Assert.Equal(["1", "0"], order);
    }

    [Fact]
    public void Weights_that_are_not_trained_are_not_sent_and_those_without_a_gradient_stay_as_they_are()
    {
        bool[] kept = OnRanks(2, (state, group) =>
        {
            using DisposeScope scope = NewDisposeScope();
            TorchSharp.Modules.Parameter[] parameters = [.. state.Model.parameters()];
            parameters[^1].requires_grad = false;
            GradientExchange exchange = new(group, state.Model);
            exchange.Begin();
            parameters[0].grad = ones_like(parameters[0]).mul(group.Rank + 1);
            torch.Tensor loss = tensor(1f + group.Rank);
            exchange.Finish(loss);
            Assert.Equal(3, loss.ToSingle());
            Assert.Equal(3, parameters[0].grad!.max().ToSingle());
            return parameters[1..].All(parameter => parameter.grad is null);
        });

        Assert.All(kept, Assert.True);
    }

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
        (double[] losses, float[] weights) straight = Train(6, null);
        CheckpointStore store = tiny.Store();

        OnRanks(before, state =>
        {
            Train(3, state);
            Save(state, store);
            return 0;
        });
        (double[] Losses, float[] Weights)[] resumed = OnRanks(after, state =>
        {
            state.Restore(store.DirectoryOf(3), CheckpointState.Load(store.DirectoryOf(3)));
            return Train(3, state);
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
        (double[] losses, float[] weights) one = Train(5, null);

        (double[] Losses, float[] Weights)[] all = OnRanks(ranks, state => Train(5, state));

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

        string[][] own = OnRanks(2, state =>
        {
            Train(2, state);
            Save(state, store);
            return state.Optimizer.State.Select(entry => entry.Name).Where(name => name.EndsWith(kind, StringComparison.Ordinal)).ToArray();
        });
        Dictionary<string, byte[]>[] loaded = OnRanks(3, state =>
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

        long[] bytes = OnRanks(4, state => state.Optimizer.State.Sum(entry => entry.Value.numel() * entry.Value.element_size()));
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
        Use(training => training with { ShardOptimizer = true });
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
        Use(training => training with { ShardOptimizer = true });
        Dictionary<string, float[]> one;
        using (TrainState state = tiny.NewState())
        {
            Train(2, state);
            one = Values(state.Optimizer.State);
        }

        (Dictionary<string, float[]> Collected, long Own)[] all = OnRanks(4, state =>
        {
            Train(2, state);
            using CheckpointTensors tensors = state.Tensors();
            return (Values(tensors.Optimizer), state.Optimizer.State.Sum(entry => entry.Value.numel()));
        });

        Assert.Equal(one.Keys.Order(), all[0].Collected.Keys.Order());
        Assert.All(one, entry => TensorAssert.Equal(entry.Value, all[0].Collected[entry.Key], 1e-5));
        Assert.All(all[1..], rank => Assert.Empty(rank.Collected));
        long whole = one.Values.Sum(values => (long)values.Length);
        Assert.All(all, rank => Assert.InRange(rank.Own, 0.2 * whole, 0.3 * whole));
    }

    [Fact]
    public void Counts_of_experts_are_those_of_all_ranks()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with
            {
                FeedForward = new ExpertsOptions { Experts = 4, Active = 2, HiddenDim = 8, Balance = new BiasBalanceOptions() },
            },
        };
        long[] Counts(TrainState state)
        {
            state.TakeStep(Rate);
            return [.. state.Model.Experts().SelectMany(layer => layer.Tokens)];
        }
        long[] one;
        using (TrainState state = tiny.NewState()) one = Counts(state);

        Assert.All(OnRanks(2, Counts), counts => Assert.Equal(one, counts));
    }

    [Fact]
    public void Loss_perplexity_and_accuracy_are_shared_out_and_the_same()
    {
        (double, string) Measure(TrainState state)
        {
            ValidationSet rows = ValidationSet.Create(
                tiny.Data, tiny.Recipe.Data, state.Model.ContextLength, 4, 3, state.Model.PrefixLength);
            LossReport loss = LossEvaluator.Evaluate(state.Model, rows, CPU, state.Processes);
            RecordingSink sink = new();
            EvaluatorSchedule measures = new(
                [new ScheduledPerplexityOptions { Stride = 3, Positions = 4 }, new ScheduledAccuracyOptions { Batches = 3 }],
                TrainingSession.Subject(state, tiny.Data, tiny.Recipe), sink);
            measures.RunDue(1, evaluating: true, last: true);
            Assert.Equal(2, sink.Measures.Count);
            return (loss.NegativeLogLikelihood, string.Join('\n', sink.Measures.SelectMany(measure => measure.Lines)));
        }
        using TrainState one = tiny.NewState();

        Assert.All(OnRanks(3, Measure), all => Assert.Equal(Measure(one), all));
    }

    [Fact]
    public void A_rank_with_other_weights_is_named()
    {
        AggregateException error = Assert.Throws<AggregateException>(() => OnRanks(3, state =>
        {
            Ranks ranks = new(state.Processes, new Progress<string>());
            ranks.RequireSameWeights(state.Model, 1);
            if (state.Processes.Rank == 2)
                using (no_grad()) state.Model.parameters().Last().view(-1).select(0, 0).add_(1e-6);
            ranks.RequireSameWeights(state.Model, 2);
            return 0;
        }));

        UserException[] told = [.. error.InnerExceptions.OfType<UserException>()]; // others may have found that one has left already
        Assert.NotEmpty(told);
        Assert.All(told, inner => Assert.StartsWith(
            $"training stopped at step 2: rank 2 ({Environment.MachineName}) computed other weights than the other 2 of 3 ranks",
            inner.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void What_any_rank_asks_for_all_do_and_what_only_others_report_is_told_once_with_the_rank()
    {
        List<string> told = [];
        bool[] answers = OnRanks(3, state =>
        {
            Ranks ranks = new(state.Processes, new Lines(told));
            Assert.False(ranks.Any(() => false)());
            ranks.Report("common");
            if (ranks.Group.Rank > 0) ranks.Report("own");
            ranks.TellOthers();
            Assert.Equal("found", ranks.FromFirst(() => "found"));
            Assert.Null(ranks.FromFirst(() => null));
            return ranks.Any(() => ranks.Group.Rank == 1)();
        });

        Assert.All(answers, Assert.True);
        Assert.Equal(["common", "rank 1: own"], told);
    }

    [Theory]
    [InlineData(12, null, 8, "training.batchSize: 12 sequences cannot be shared out evenly among 8 processes; the nearest sizes are 8 or 16")]
    [InlineData(2, null, 4, "training.batchSize: 2 sequences cannot be shared out evenly among 4 processes; the nearest sizes are 4")]
    [InlineData(24, 6, 4, "training.microBatchSize: it counts the sequences of all processes together, and 6 cannot be shared out evenly " +
        "among 4; the nearest sizes are 4 or 8, of which batchSize (24) has to be a multiple")]
    public void A_batch_that_does_not_divide_is_refused_with_the_nearest_sizes(int batch, int? micro, int ranks, string message)
    {
        TrainingOptions options = tiny.Recipe.Training with { BatchSize = batch, MicroBatchSize = micro };
        Problem problem = Assert.Single(options.ValidateFor(ranks));
        Assert.Equal(message, $"{problem.Path}: {problem.Message}");
        Assert.Empty(options.ValidateFor(2));
    }

    private void ShareOut(string optimizer)
    {
        Use(training => training with { BatchSize = 24, MicroBatchSize = 12, ShardOptimizer = true });
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

    private void Use(Func<TrainingOptions, TrainingOptions> change) =>
        tiny.Recipe = tiny.Recipe with { Training = change(tiny.Recipe.Training) };

    private T[] OnRanks<T>(int ranks, Func<TrainState, T> work) => OnRanks(ranks, (state, _) => work(state));

    private T[] OnRanks<T>(int ranks, Func<TrainState, IProcessGroup, T> work)
    {
        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        return ThreadRanks.Run(ranks, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state) return work(state, group);
        });
    }

    private (double[] Losses, float[] Weights) Train(int steps, TrainState? state)
    {
        using TrainState? own = state is null ? tiny.NewState() : null;
        state ??= own!;
        var losses = new double[steps];
        for (int step = 0; step < steps; step++)
        {
            state.TakeStep(Rate);
            losses[step] = state.Read().Loss;
        }
        return (losses, [.. state.Model.parameters().SelectMany(parameter => parameter.data<float>().ToArray())]);
    }

    private StepBatch Batch(TrainState state)
    {
        using BatchLoader loader = new(BatchStream.Create(
            tiny.Data, tiny.Recipe.Data, state.Model.ContextLength, tiny.Recipe.Seed, state.Model.PrefixLength), 8);
        return StepBatch.Next(loader, tiny.Recipe.Training);
    }

    private static byte[] Bytes(torch.Tensor value) => value.contiguous().bytes.ToArray();

    private static Dictionary<string, float[]> Values(IEnumerable<(string Name, torch.Tensor Value)> state) =>
        state.ToDictionary(entry => entry.Name, entry => entry.Value.contiguous().data<float>().ToArray());

    private sealed class Lines(List<string> told) : IProgress<string>
    {
        public void Report(string value) => told.Add(value);
    }
}
