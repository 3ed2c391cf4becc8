using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Distributed;
using Trainer.Evaluation.Preferences;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Positions;
using Trainer.Tests;
using Trainer.Training.Losses;
using Trainer.Training.Plan;
using Trainer.Training.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Preferences;

/// <summary>Training on preferences: which probabilities count, and what a run keeps.</summary>
public sealed class PreferenceTrainingTests : IClassFixture<PreferenceTrainingTests.Base>, IDisposable
{
    private const int Context = 48;

    private readonly TinyRun tiny = new(dropout: 0);

    public PreferenceTrainingTests(Base trained)
    {
        tiny.Recipe = trained.Recipe with
        {
            Data = Pairs("q"),
            Initialize = new InitializeOptions { From = trained.Run },
            Preference = new DpoOptions { Beta = 0.5 },
        };
    }

    public void Dispose() => tiny.Dispose();

    /// <summary>A model to begin with, of single bytes, so that all texts have its tokenizer.</summary>
    public sealed class Base : IDisposable
    {
        private readonly TinyRun tiny = new(dropout: 0);

        public Base()
        {
            string path = Path.Combine(tiny.Root, "talks.jsonl");
            File.WriteAllLines(path, Enumerable.Range(0, 40).Select(number => JsonSerializer.Serialize(new
            {
                instruction = $"q{number}",
                output = new string((char)('a' + number % 26), 1 + number % 7),
            })));
            Recipe = tiny.Recipe = tiny.Recipe with
            {
                Model = (DecoderOptions)tiny.Recipe.Model with { ContextLength = Context },
                Tokenizer = new Trainer.Data.Tokenizers.ByteTokenizerOptions(),
                Data = new DataOptions { Train = [new SourceOptions { Path = path, Format = SourceFormat.Chat }] },
            };
            tiny.Train("base");
        }

        public Recipe Recipe { get; }

        public string Run => tiny.RunPath("base");

        public void Dispose() => tiny.Dispose();
    }

    [Fact]
    public void Scores_are_the_sums_of_the_answers_tokens_alone()
    {
        using TrainState state = tiny.NewState();

        RequireScoresAlone(Model(state), Rows(4));
    }

    [Fact]
    public void A_bias_in_long_rows_is_that_of_the_answers_alone()
    {
        tiny.Recipe = tiny.Recipe with { Data = Pairs(new string('q', 50)) };
        manual_seed(5);
        using LanguageModel model = (tiny.Recipe.Model with { ContextLength = 256, Position = new AlibiOptions() })
            .Build(tiny.Data.Tokenizer.VocabularySize);
        using (no_grad())
            foreach (var weight in model.parameters().Where(weight => weight.dim() > 1)) weight.mul_(10);
        Batch batch = Rows(2, context: 256);

        Assert.InRange(batch.Columns, 128, 255); // enough for tiles
        RequireScoresAlone(model, batch);
    }

    private static void RequireScoresAlone(LanguageModel model, Batch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        AnswerScores scores = AnswerScores.Of(model, batch, CPU);
        for (int row = 0; row < batch.Rows; row++)
            for (int answer = 0; answer < 2; answer++)
            {
                (double sum, int count) = Alone(model, batch, row, answer);
                Assert.Equal(sum, scores.LogProbability[row, answer].ToDouble(), 1e-4);
                Assert.Equal(count, scores.Tokens[row, answer].ToDouble());
            }
    }

    // The answer with its prompt as a text of its own.
    private static (double Sum, int Count) Alone(LanguageModel model, Batch batch, int row, int answer)
    {
        using IDisposable unrecorded = no_grad();
        int[] places = [.. Enumerable.Range(row * batch.Columns, batch.Columns).Where(place => batch.Documents![place] == answer)];
        Tensor logits = model.forward(tensor([.. places.Select(place => batch.Inputs[place])], [1, places.Length]));
        Tensor found = nn.functional.log_softmax(logits, -1)[0]; // (T, V)
        int[] learned = [.. Enumerable.Range(0, places.Length).Where(index => batch.Targets[places[index]] != Batch.Ignored)];
        return (learned.Sum(index => found[index, batch.Targets[places[index]]].ToDouble()), learned.Length);
    }

    [Fact]
    public void A_model_that_is_its_reference_has_a_loss_of_log_2_and_no_margin()
    {
        using TrainState state = tiny.NewState();
        using DisposeScope scope = NewDisposeScope();

        (Tensor loss, _, Tensor figures) = Gradients(state).Compute(new StepBatch([Rows(4)]));

        Assert.Equal(Math.Log(2), loss.ToDouble(), 1e-6);
        Assert.Equal(0, figures[1].ToDouble(), 1e-5);
    }

    [Theory]
    [InlineData("dpo", 1)]
    [InlineData("dpo", 2)]
    [InlineData("ipo", 2)]
    [InlineData("orpo", 2)]
    [InlineData("kto", 2)]
    public void Threads_and_micro_batches_give_the_gradients_of_one_batch(string type, int threads)
    {
        Use(type);
        using TrainState state = tiny.NewState();
        state.TakeStep(1e-2); // away from the reference
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        Batch batch = Rows(8);
        using DisposeScope scope = NewDisposeScope();

        StepLoss whole = Gradients(state).Compute(new StepBatch([batch]));
        float[] gradient = TinyRun.Gradient(state.Model);
        StepLoss parts = Gradients(state, workers).Compute(new StepBatch([batch.Part(0, 2), batch.Part(1, 2)]));

        Assert.Equal(whole.Loss.ToDouble(), parts.Loss.ToDouble(), 1e-5);
        TensorAssert.Equal(whole.Figures.data<float>().ToArray(), parts.Figures.data<float>().ToArray(), 1e-4);
        TensorAssert.Equal(gradient, TinyRun.Gradient(state.Model), 1e-5);
        Assert.Contains(gradient, value => Math.Abs(value) > 1e-4);
    }

    [Fact]
    public void The_validation_loss_of_kto_does_not_depend_on_micro_batches()
    {
        Checkpoint trained = Checkpoint.Open(tiny.Recipe.Initialize!.From);
        using LanguageModel uniform = trained.Model.Build(trained.Tokenizer.VocabularySize);
        using (no_grad())
            foreach (var weight in uniform.parameters()) weight.zero_();
        string reference = Checkpoint.Write(tiny.RunPath("uniform"), trained.Configuration, trained.Tokenizer, uniform).Directory;
        tiny.Recipe = tiny.Recipe with { Preference = new KtoOptions { Reference = reference } };
        using TrainState state = tiny.NewState();
        Batch batch = Rows(8);
        LossMeans Validate(int parts) => state.Loss.Validate(
            state.Model, [.. Enumerable.Range(0, parts).Select(part => batch.Part(part, parts))], CPU, new SingleProcess());

        LossMeans whole = Validate(1), rows = Validate(8);

        int divergence = state.Loss.ValidationFigureNames.ToList().IndexOf("divergence");
        Assert.True(whole.Figures[divergence] > 0.01, $"{whole.Figures[divergence]}");
        Assert.Equal(ExchangedDivergence(Model(state), state.Reference!.Model!, batch), whole.Figures[divergence], 1e-5);
        Assert.Equal(whole.Figures[divergence], rows.Figures[divergence], 1e-5);
        Assert.Equal(whole.Loss, rows.Loss, 1e-5);
    }

    // Of all prompts with the answers of others, added up on the host.
    private static double ExchangedDivergence(LanguageModel model, LanguageModel reference, Batch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        Batch[] exchanged = [.. ExchangedAnswers.Of([batch], Context)];
        double sum = exchanged.Sum(rows => AnswerScores.Of(model, rows, CPU).LogProbability.select(1, 0)
            .sub(AnswerScores.Of(reference, rows, CPU).LogProbability.select(1, 0)).sum().ToDouble());
        return sum / exchanged.Sum(rows => rows.Rows);
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("ipo")]
    [InlineData("orpo")]
    [InlineData("kto")]
    public void What_is_preferred_is_learned(string type)
    {
        Use(type);
        using TrainState state = tiny.NewState();
        PreferenceReport Measure() => new PreferenceEvaluator(Model(state)).Evaluate(
            PreferenceBatches.All(tiny.Data.Validation, tiny.Recipe.Data, Context, 4));
        double before = Measure().Margin;

        for (int step = 0; step < 40; step++) state.TakeStep(3e-3);

        PreferenceReport after = Measure();
        Assert.True(after.Margin > before + 1, $"the margin went from {before} to {after.Margin}");
        Assert.True(after.Accuracy > 0.9, $"{after}");
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("kto")]
    public void A_run_that_is_stopped_and_resumed_is_the_run_that_was_not(string type)
    {
        Use(type);
        tiny.Train("whole");
        tiny.Train("parts", until: 3);
        tiny.Train("parts", resume: true);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "reference.json"])
            Assert.Equal(File.ReadAllBytes(In("whole", file)), File.ReadAllBytes(In("parts", file)));
    }

    [Fact]
    public void The_reference_scores_once()
    {
        tiny.Train("first");
        tiny.Train("second");

        Assert.Single(tiny.Progress, line => line.StartsWith("scoring the answers of 60 pairs", StringComparison.Ordinal));
    }

    [Fact]
    public void A_reference_of_the_same_weights_and_other_options_scores_for_itself()
    {
        Checkpoint trained = Checkpoint.Open(tiny.Recipe.Initialize!.From);
        using LanguageModel model = trained.Model.Build(trained.Tokenizer.VocabularySize);
        string Write(string name, RotaryOptions position) => Checkpoint.Write(
            tiny.RunPath(name), trained.Configuration with { Model = trained.Model with { Position = position } }, trained.Tokenizer, model)
            .Directory;

        foreach (string reference in (string[])
            [Write("plain", new()), Write("scaled", new() { Scaling = new LinearScaling { Factor = 2 } })])
        {
            tiny.Recipe = tiny.Recipe with { Preference = new DpoOptions { Reference = reference } };
            using TrainState state = tiny.NewState();
        }

        Assert.Equal(2, Directory.GetFiles(tiny.Data.Directory, "reference-*.json").Length);
    }

    [Fact]
    public void A_run_does_not_go_on_with_another_reference()
    {
        tiny.Train("run", until: 3);
        tiny.Recipe = tiny.Recipe with { Preference = new DpoOptions { Reference = tiny.RunPath("run") } };

        string message = Assert.Throws<UserException>(() => tiny.Train("run", resume: true)).Message;

        Assert.StartsWith("preference.reference: the run has been compared with", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_counts_the_reference_of_kto()
    {
        // Large beside the activations, which are measured and differ by what other tests left.
        Checkpoint trained = Checkpoint.Open(tiny.Recipe.Initialize!.From);
        DecoderOptions wide = (DecoderOptions)trained.Model with { Dim = 512 };
        int vocabulary = trained.Tokenizer.VocabularySize;
        string reference;
        using (LanguageModel model = wide.Build(vocabulary))
            reference = Checkpoint.Write(
                tiny.RunPath("wide"), trained.Configuration with { Model = wide }, trained.Tokenizer, model).Directory;
        RunPlan Plan(PreferenceOptions preference) =>
            RunPlan.Of(tiny.Recipe with { Preference = preference }, Path.Combine(tiny.Root, "datasets"));

        RunPlan without = Plan(new DpoOptions { Reference = reference }); // has scored all answers before
        RunPlan plan = Plan(new KtoOptions { Reference = reference });

        ModelCost own = ModelCost.Of(tiny.Recipe.Model, vocabulary), other = ModelCost.Of(wide, vocabulary);
        Assert.Equal(
            without.TrainingFlopsPerToken + own.ForwardFlopsPerToken(plan.RowLength) + other.ForwardFlopsPerToken(plan.RowLength),
            plan.TrainingFlopsPerToken);
        long weights = 4 * other.Parameters;
        if (plan.PeakBytes - without.PeakBytes is { } more) Assert.InRange(more, weights * 0.9, weights * 1.1);
    }

    [Fact]
    public void An_answer_that_was_judged_alone_needs_kto()
    {
        string path = Path.Combine(tiny.Root, "judged.jsonl");
        File.WriteAllLines(path, Enumerable.Range(0, 40).Select(number => JsonSerializer.Serialize(new
        {
            prompt = $"q{number}", completion = number % 2 == 0 ? "aa" : "zz", label = number % 2 == 0,
        })));
        tiny.Recipe = tiny.Recipe with { Data = new DataOptions { Train = [new SourceOptions { Path = path, Format = SourceFormat.Preferences }] } };

        string message = Assert.Throws<UserException>(() => tiny.Train("refused")).Message;
        Use("kto");

        Assert.Contains("record 1: it has one answer with a label, and preference.type 'dpo' compares", message, StringComparison.Ordinal);
        Assert.Equal(12, tiny.Train("learned").Step);
    }

    [Fact]
    public void The_number_of_live_tensors_does_not_grow()
    {
        Use("kto");
        tiny.RequireNoLeak();
    }

    [Fact]
    public void Recipes_that_contradict_themselves_are_refused()
    {
        Recipe good = tiny.Recipe;
        string ErrorOf(Recipe recipe)
        {
            tiny.Recipe = recipe;
            return tiny.ConfigurationError();
        }

        Assert.Contains("preference: is missing, and data.train has answers", ErrorOf(good with { Preference = null }), StringComparison.Ordinal);
        Assert.Contains("preference.reference: is missing", ErrorOf(good with { Initialize = null }), StringComparison.Ordinal);
        Assert.Contains("initialize: is missing; 'orpo' teaches a trained model",
            ErrorOf(good with { Initialize = null, Preference = new OrpoOptions() }), StringComparison.Ordinal);
        foreach (TrainingOptions small in (TrainingOptions[])
            [
                good.Training with { BatchSize = 1, MicroBatchSize = null },
                good.Training with { MicroBatchSize = 1, Stages = [new() { Until = 3, BatchSize = 1 }] },
            ])
            Assert.Contains("training.batchSize: is 1 in the run or a stage of it, and 'kto' estimates how far the model is from its " +
                "reference", ErrorOf(good with { Preference = new KtoOptions(), Training = small }), StringComparison.Ordinal);
        foreach (PreferenceOptions compared in (PreferenceOptions[])[new DpoOptions(), new KtoOptions()])
            Assert.Contains("preference.reference: is that of initialize.from, which initialize.convert changes", ErrorOf(good with
            {
                Preference = compared, Initialize = good.Initialize! with { Convert = new ConvertOptions { KeyValueHeads = 1 } },
            }), StringComparison.Ordinal);
        Assert.Contains("training.labelSmoothing: is of the cross entropy", ErrorOf(good with
        {
            Training = good.Training with { LabelSmoothing = 0.1 },
        }), StringComparison.Ordinal);
        Assert.Contains("data.chat.truncation: is \"split\"", ErrorOf(good with
        {
            Data = good.Data with { Chat = new ConversationOptions { Truncation = ConversationTruncation.Split } },
        }), StringComparison.Ordinal);
    }

    private void Use(string type) => tiny.Recipe = tiny.Recipe with
    {
        Preference = ConfigurationJson.Deserialize<PreferenceOptions>($$"""{"type": "{{type}}"}""", "test"),
    };

    private static LanguageModel Model(TrainState state) => (LanguageModel)state.Model;

    private DataOptions Pairs(string prompt)
    {
        string path = Path.Combine(tiny.Root, "pairs.jsonl");
        // Answers of different lengths; those that are chosen end in letters of their own.
        File.WriteAllLines(path, Enumerable.Range(0, 60).Select(number => JsonSerializer.Serialize(new
        {
            prompt = $"{prompt}{number}",
            chosen = new string('a', 1 + number % 5),
            rejected = new string('z', 1 + number % 7),
        })));
        return new DataOptions { Train = [new SourceOptions { Path = path, Format = SourceFormat.Preferences }] };
    }

    private Batch Rows(int rows, int context = Context) => BatchStream.Create(tiny.Data, tiny.Recipe.Data, context, 1).Next(rows);

    private static GradientComputation Gradients(TrainState state, WorkerThreads? threads = null) =>
        GradientComputation.Create(state.Model, CPU, threads, state.Loss);

    private string In(string run, string file) => Path.Combine(tiny.Store(run).DirectoryOf(12), file);
}
