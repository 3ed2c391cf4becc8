using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Evaluation;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using Trainer.Training.Plan;
using Trainer.Training.Reinforcement;
using Trainer.Training.Tests.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Reinforcement;

/// <summary>Runs that reward a model which has learned for a moment to add digits.</summary>
public sealed class ReinforcementTests : IDisposable
{
    private readonly TinyRun tiny = new(dropout: 0);

    public ReinforcementTests()
    {
        SourceOptions source = new() { Format = SourceFormat.Synthetic, Task = new ArithmeticTaskOptions { Digits = 1 }, Examples = 200 };
        tiny.Recipe = tiny.Recipe with
        {
            Tokenizer = new BpeTokenizerOptions
            {
                VocabularySize = 258, SpecialTokens = ["<|endoftext|>"], MinimumFrequency = int.MaxValue,
            },
            Data = new()
            {
                Packing = DataPacking.Pairs, Train = [source],
                Validation = [source with { Split = SourceSplit.Validation, Examples = 20 }],
            },
            Training = tiny.Recipe.Training with { Steps = 30 },
            Optimizer = tiny.Recipe.Optimizer with { LearningRate = 1e-2 },
            Evaluation = new() { Every = 0, Batches = 2 },
            Checkpoint = new() { Every = 0 },
        };
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Name = "rewarded",
            Initialize = new() { From = tiny.RunPath("base") },
            Reinforcement = new GrpoOptions { Group = 4, MaximumTokens = 4, Reward = new EditDistanceRewardOptions() },
            Training = tiny.Recipe.Training with { Steps = 6 },
            Evaluation = new() { Every = 3, Batches = 1 },
            Checkpoint = new() { Every = 2, Keep = 10 },
        };
    }

    public void Dispose() => tiny.Dispose();

    private GrpoOptions Options => (GrpoOptions)tiny.Recipe.Reinforcement!;

    [Theory]
    [InlineData(1, 0.04, 3)]
    [InlineData(3, 0.04, 2)] // after the second of three updates
    [InlineData(3, 0, 4)] // after the first
    public void A_killed_and_resumed_run_equals_one_that_was_not_bit_for_bit(int updates, double klWeight, int killed)
    {
        Use(Options with { Updates = updates, KlWeight = klWeight });
        tiny.Train("whole");
        tiny.Train("parts", until: killed);
        tiny.Train("parts", resume: true);

        string[] files = ["model.safetensors", "optimizer.safetensors", "state.json", .. klWeight > 0 ? ["reference.json"] : (string[])[]];
        foreach (string file in files) Assert.Equal(File.ReadAllBytes(In("whole", file)), File.ReadAllBytes(In("parts", file)));
        Assert.Equal(updates > 1, File.Exists(Path.Combine(tiny.Store("whole").DirectoryOf(4), "answers.json")));
        Assert.False(File.Exists(In("whole", "answers.json"))); // of the last of six steps, which uses them up
    }

    [Fact]
    public void The_first_step_has_a_ratio_of_one_no_divergence_and_the_figures_of_its_answers()
    {
        Use(Options with { Average = PolicyAverage.Sequences });
        using TrainState training = tiny.NewState();
        training.TakeStep(0);
        StepFigures.Reading reading = training.Read();

        Dictionary<string, double> figures = training.Loss.FigureNames.Zip(reading.Further).ToDictionary();
        Assert.Equal(0, reading.Loss, 1e-5); // advantages add up to 0 in each group
        Assert.True(reading.GradientNorm > 1e-3);
        Assert.Equal((0, 0), (figures["clipped"], Math.Round(figures["kl"], 6)));
        Assert.InRange(figures["reward"], figures["right"] + 0.01, 0.99);
        Assert.InRange(figures["length"], 1, 4);
        Assert.InRange(figures["entropy"], 0.1, Math.Log(257));
        Assert.Equal(training.Tokens / 16.0, figures["length"], 1e-5);
    }

    [Fact]
    public void Rows_hold_prompts_of_the_data_and_advantages_within_their_group()
    {
        Use(Options with { Updates = 2 });
        using TrainState training = tiny.NewState();
        using SampledSteps source = Source(training);
        using SampledSteps again = Source(training);

        StepBatch step = source.Next(5);

        Assert.Equal([8, 8], step.MicroBatches.Select(batch => batch.Rows));
        foreach (Batch batch in step.MicroBatches)
        {
            IReadOnlyList<PromptedAnswer> rows = PromptedAnswer.Of(batch, end: 0);
            Assert.All(rows.Chunk(4), group => Assert.Single(group.Select(row => tiny.Data.Tokenizer.Decode(row.Prompt)).Distinct()));
            Assert.All(rows, row => Assert.Matches(@"^\d\+\d=$", tiny.Data.Tokenizer.Decode(row.Prompt)));
            Assert.All(batch.Samples!.Advantages.Chunk(4), group => Assert.Equal(0, group.Sum(), 1e-5));
            Assert.Equal(
                batch.Targets.Select(target => target != Batch.Ignored),
                batch.Samples.OldLogProbabilities!.Select(log => log != 0));
        }
        Assert.Same(step, source.Next(6)); // the second update
        Assert.Equal(Tokens(step), Tokens(again.Next(5)));
        Assert.NotEqual(Tokens(step), Tokens(source.Next(7)));
    }

    [Fact]
    public void Rows_that_are_saved_for_further_updates_keep_where_their_padding_begins()
    {
        Use(Options with { Updates = 2 });
        using TrainState training = tiny.NewState();
        using SampledSteps source = Source(training), restored = Source(training);
        StepBatch step = source.Next(5);
        string folder = Directory.CreateDirectory(Path.Combine(tiny.Root, "saved")).FullName;
        foreach (PendingFile file in source.Files()) file.Write(Path.Combine(folder, file.Name));
        restored.Restore(folder, source.Position);

        foreach ((Batch batch, Batch again) in step.MicroBatches.Zip(restored.Next(6).MicroBatches))
        {
            Assert.Equal(batch.Inputs, again.Inputs);
            Assert.Equal(batch.Lengths!, again.Lengths!);
            Assert.Equal(
                batch.Targets.Chunk(batch.Columns).Select(row => Array.FindLastIndex(row, target => target != Batch.Ignored) + 1),
                batch.Lengths!);
        }
    }

    [Fact]
    public void The_first_answers_and_rewards_are_the_same_with_one_thread_and_two()
    {
        double[] Rewards(int threads)
        {
            set_num_threads(threads);
            using TrainState training = tiny.NewState();
            set_num_threads(1);
            Assert.Contains(threads > 1 ? "in 2 parts" : "on 1 threads", training.Sharing);
            training.TakeStep(1e-3);
            return [.. training.Read().Further];
        }
        double[] one = Rewards(1), two = Rewards(2);
        Assert.Equal(one[..3], two[..3]);
        TensorAssert.Equal([.. one.Select(each => (float)each)], [.. two.Select(each => (float)each)], 1e-5);
    }

    [Fact]
    public void Live_tensors_stay_as_many()
    {
        Use(Options with { Updates = 2 });
        tiny.RequireNoLeak(steps: 5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Ranks_take_the_steps_of_one_process(int updates)
    {
        Use(Options with { Updates = updates });
        (double[] losses, double[] rewards) one = Train(null);

        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        (double[] Losses, double[] Rewards)[] all = ThreadRanks.Run(2, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state) return Train(state);
        });

        foreach ((double[] losses, double[] rewards) in all)
        {
            TensorAssert.Equal([.. one.losses.Select(loss => (float)loss)], [.. losses.Select(loss => (float)loss)], 1e-5);
            TensorAssert.Equal([.. one.rewards.Select(each => (float)each)], [.. rewards.Select(each => (float)each)], 1e-5);
        }
    }

    [Fact]
    public void Validation_is_by_answers_and_the_best_has_the_highest_reward()
    {
        RecordingSink sink = new();
        TrainingResult result = tiny.Train(sink: sink);

        Checkpoint best = Checkpoint.Open(tiny.RunPath());
        using LanguageModel model = best.LoadModel(CPU);
        ValidationSet validation = ValidationSet.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 8, 2);
        AnswerReport report = new AnswerEvaluator(model, tiny.Data.Tokenizer, end: 0, length: 4).Evaluate(validation, Options.Reward.Score);
        Assert.Equal(1 - report.MeanReward, result.BestLoss!.Value, 1e-9);
    }

    [Fact]
    public void A_model_is_kept_close_to_the_same_reference()
    {
        tiny.Train(until: 2);
        Recipe rewarded = tiny.Recipe;
        tiny.Recipe = rewarded with { Reinforcement = null, Initialize = null, Seed = 8, Training = rewarded.Training with { Steps = 2 } };
        tiny.Train("other");
        tiny.Recipe = rewarded with { Initialize = new() { From = tiny.RunPath("other") } };

        string message = Assert.Throws<UserException>(() => tiny.Train(resume: true)).Message;
        Assert.Contains("initialize.from: the run has been kept close to", message);
    }

    [Fact]
    public void Adapters_and_a_model_that_the_decoder_for_CPUs_does_not_take_are_rewarded()
    {
        tiny.Recipe = tiny.Recipe with { Adapter = new LoraOptions { Rank = 2 } };
        Assert.Equal(6, tiny.Train().Step);
    }

    [Fact]
    public void A_plan_counts_the_reference_the_decoder_and_the_passes()
    {
        Use(Options with { Updates = 2 });
        string datasets = Path.Combine(tiny.Root, "datasets");
        RunPlan plan = RunPlan.Of(tiny.Recipe, datasets), without = RunPlan.Of(tiny.Recipe with { Reinforcement = null }, datasets);
        Use(Options with { KlWeight = 0, Updates = 1 });
        RunPlan alone = RunPlan.Of(tiny.Recipe, datasets);

        Assert.Null(without.Reinforcement);
        Assert.Equal((plan.Parameters, 4 * plan.Parameters), (plan.Reinforcement!.ReferenceParameters, plan.Reinforcement.ReferenceBytes));
        Assert.Equal((0, 0), (alone.Reinforcement!.ReferenceParameters, alone.Reinforcement.ReferenceBytes));
        // Weights and 16 answers of a context.
        Assert.Equal(4 * plan.Parameters + 16 * plan.CacheBytesAtContext, plan.Reinforcement.DecoderBytes);
        // Writing, the reference and the model as it was, for two updates; or writing for each step.
        Assert.Equal(1.5 * plan.ForwardFlopsPerToken, plan.TrainingFlopsPerToken - without.TrainingFlopsPerToken, 1);
        Assert.Equal(plan.ForwardFlopsPerToken, alone.TrainingFlopsPerToken - without.TrainingFlopsPerToken, 1);
        Assert.Equal(without.Epochs / 8, plan.Epochs, 1e-9); // four answers to a prompt, for two steps
        if (plan.PeakBytes is { } peak) Assert.InRange(peak, plan.Reinforcement.ReferenceBytes + plan.StateBytes, long.MaxValue);
    }

    [Fact]
    public void An_answer_that_is_longer_than_any_can_be_is_named()
    {
        Use(Options with { MaximumTokens = 2 });
        string message = Assert.Throws<UserException>(() => tiny.NewState()).Message;
        Assert.Matches(
            @"^reinforcement.maximumTokens \(2\) is too few: the answer to ""\d\+\d="" has 2 tokens .* set it to 3 or more$", message);
    }

    [Fact]
    public void A_tokenizer_without_an_end_is_refused()
    {
        GrpoOptions plain = Options;
        tiny.Recipe = tiny.Recipe with { Tokenizer = new ByteTokenizerOptions(), Initialize = null, Reinforcement = null };
        tiny.Train("bytes");
        tiny.Recipe = tiny.Recipe with { Initialize = new() { From = tiny.RunPath("bytes") }, Reinforcement = plain };
        Assert.Contains(
            "reinforcement needs a token that ends an answer, and the tokenizer (byte) has none",
            Assert.Throws<UserException>(() => tiny.Train()).Message);
    }

    public static TheoryData<string, string> Mistakes => new()
    {
        { "group", "reinforcement.group: training.batchSize (16) must be a multiple of group (5), the answers to each prompt; set " +
            "batchSize to 20" },
        { "one", "reinforcement.group" },
        { "clip", "reinforcement.clipHigher: clipHigher (0.1) must be clip (0.2) or more" },
        { "initialize", "reinforcement: rewards a model that answers already, and initialize says of none" },
        { "convert", "reinforcement.klWeight: keeps the model close to that of initialize.from, which initialize.convert changes" },
        { "packing", "set model.architecture to 'decoder' and data.packing to 'pairs'" },
        { "end", "data.endOfDocument: 'none' leaves no token that ends an answer" },
        { "prefix", "attention pattern 'prefix' reads the first 4 together" },
        { "tokens", "reinforcement.maximumTokens: maximumTokens (16) leaves no room for a prompt in model.contextLength (16)" },
        { "dropout", "model.dropout: dropout (0.1) makes another model" },
        { "adapter", "adapter.dropout: dropout (0.1) makes another model" },
        { "distillation", "distillation: learns from texts, and reinforcement from the model's own" },
        { "smoothing", "training.labelSmoothing: " },
        { "stages", "training.stages: " },
        { "spikes", "training.spikes: " },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void What_does_not_go_together_is_named_with_the_fix(string mistake, string message)
    {
        Recipe recipe = tiny.Recipe;
        DecoderOptions model = (DecoderOptions)recipe.Model;
        tiny.Recipe = mistake switch
        {
            "group" => recipe with { Reinforcement = Options with { Group = 5 } },
            "one" => recipe with { Reinforcement = Options with { Group = 1 } },
            "clip" => recipe with { Reinforcement = Options with { ClipHigher = 0.1 } },
            "initialize" => recipe with { Initialize = null },
            "convert" => recipe with { Initialize = recipe.Initialize! with { Convert = new() { KeyValueHeads = 1 } } },
            "packing" => recipe with { Data = recipe.Data with { Packing = DataPacking.Crops } },
            "end" => recipe with { Data = recipe.Data with { EndOfDocument = "none" } },
            "prefix" => recipe with
            {
                Model = model with { Attention = new MultiHeadOptions { Heads = 2, Pattern = new PrefixOptions { PrefixLength = 4 } } },
            },
            "tokens" => recipe with { Reinforcement = Options with { MaximumTokens = 16 } },
            "dropout" => recipe with { Model = model with { Dropout = 0.1 } },
            "adapter" => recipe with { Adapter = new LoraOptions { Dropout = 0.1 } },
            "distillation" => recipe with { Distillation = new() { Teacher = "runs/base" } },
            "smoothing" => recipe with { Training = recipe.Training with { LabelSmoothing = 0.1 } },
            "stages" => recipe with { Training = recipe.Training with { Stages = [new() { Until = 2, BatchSize = 8 }] } },
            _ => recipe with { Training = recipe.Training with { Spikes = new() } },
        };
        Assert.Contains(message, tiny.ConfigurationError());
    }

    private void Use(GrpoOptions options) => tiny.Recipe = tiny.Recipe with { Reinforcement = options };

    private string In(string run, string file) => Path.Combine(tiny.Store(run).DirectoryOf(6), file);

    private (double[] Losses, double[] Rewards) Train(TrainState? state)
    {
        using TrainState? own = state is null ? tiny.NewState() : null;
        state ??= own!;
        List<StepFigures.Reading> read = [];
        for (int step = 0; step < 4; step++)
        {
            state.TakeStep(1e-3);
            read.Add(state.Read());
        }
        return ([.. read.Select(reading => reading.Loss)], [.. read.Select(reading => reading.Further[0])]);
    }

    private SampledSteps Source(TrainState training)
    {
        AnswerGrader grader = AnswerGrader.Of(Options, tiny.Data.Tokenizer, tiny.Recipe.Data);
        return new(
            new BatchLoader(BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 1), 4),
            new(tiny.Recipe, (LanguageModel)training.Model, null, grader, (PolicyLoss)training.Loss, 257, CPU, new SingleProcess()));
    }

    private static long[] Tokens(StepBatch step) => [.. step.MicroBatches.SelectMany(batch => batch.Inputs)];
}
