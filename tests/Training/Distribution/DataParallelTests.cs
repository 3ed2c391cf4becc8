using System.Text.Json;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation;
using Trainer.Evaluation.Scheduled;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using Trainer.Training.Distribution;
using Trainer.Training.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Distribution;

public sealed class DataParallelTests : IDisposable
{
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
        tiny.UseTraining(training => training with { BatchSize = batch, MicroBatchSize = micro, ShardOptimizer = shards });
        (double[] losses, float[] weights) one = tiny.TakeSteps(5);

        (double[] Losses, float[] Weights)[] all = tiny.OnRanks(ranks, state => tiny.TakeSteps(5, state));

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
        tiny.UseTraining(training => training with { Steps = 1 });
        tiny.Train("base");
        tiny.UseTraining(training => training with { ShardOptimizer = shards });
        tiny.Recipe = tiny.Recipe with
        {
            Initialize = new() { From = tiny.RunPath("base") }, Adapter = new LoraOptions { Rank = 2, Targets = ["query", "down"] },
        };
        (double[] losses, float[] weights) one = tiny.TakeSteps(3);

        foreach ((_, float[] weights) in tiny.OnRanks(2, state => tiny.TakeSteps(3, state))) TensorAssert.Equal(one.weights, weights, 1e-4);
    }

    [Fact]
    public void Ranks_learn_from_a_teacher_as_one_process_does()
    {
        tiny.UseTraining(training => training with { Steps = 1 });
        tiny.Train("teacher");
        tiny.Recipe = tiny.Recipe with { Seed = 8, Distillation = new() { Teacher = tiny.RunPath("teacher"), Temperature = 2 } };
        (double[] losses, float[] weights) one = tiny.TakeSteps(3);

        foreach ((_, float[] weights) in tiny.OnRanks(2, state => tiny.TakeSteps(3, state))) TensorAssert.Equal(one.weights, weights, 1e-4);
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
        tiny.UseTraining(training => training with { Steps = 1 });
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
        (double[] losses, float[] weights) one = tiny.TakeSteps(3);

        foreach ((_, float[] weights) in tiny.OnRanks(2, state => tiny.TakeSteps(3, state))) TensorAssert.Equal(one.weights, weights, 1e-4);
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

        (float[] Gradient, double Norm)[] both = tiny.OnRanks(2, (state, group) =>
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

        float[][] all = tiny.OnRanks(2, (state, group) =>
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
        tiny.UseTraining(training => training with { ActivationCheckpointing = checkpointing });
        List<string> order = [];
        tiny.OnRanks(1, (state, group) =>
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
        bool[] kept = tiny.OnRanks(2, (state, group) =>
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
            state.TakeStep(TinyRanks.Rate);
            return [.. state.Model.Experts().SelectMany(layer => layer.Tokens)];
        }
        long[] one;
        using (TrainState state = tiny.NewState()) one = Counts(state);

        Assert.All(tiny.OnRanks(2, Counts), counts => Assert.Equal(one, counts));
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
                TrainingSession.Subject(state, tiny.Data, tiny.Recipe));
            measures.RunDue(1, evaluating: true, last: true, sink);
            Assert.Equal(2, sink.Measures.Count);
            return (loss.NegativeLogLikelihood, string.Join('\n', sink.Measures.SelectMany(measure => measure.Lines)));
        }
        using TrainState one = tiny.NewState();

        Assert.All(tiny.OnRanks(3, Measure), all => Assert.Equal(Measure(one), all));
    }

    [Fact]
    public void A_rank_with_other_weights_is_named()
    {
        AggregateException error = Assert.Throws<AggregateException>(() => tiny.OnRanks(3, state =>
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
        bool[] answers = tiny.OnRanks(3, state =>
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

    private StepBatch Batch(TrainState state)
    {
        using BatchLoader loader = new(BatchStream.Create(
            tiny.Data, tiny.Recipe.Data, state.Model.ContextLength, tiny.Recipe.Seed, state.Model.PrefixLength), 8);
        return StepBatch.Next(loader, tiny.Recipe.Training);
    }

    private sealed class Lines(List<string> told) : IProgress<string>
    {
        public void Report(string value) => told.Add(value);
    }
}
