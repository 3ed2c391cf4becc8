using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.Devices;
using Trainer.Models.Positions;
using Trainer.Tests;
using Trainer.Training.Losses;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Runs that learn from a teacher of a few steps.</summary>
public sealed class DistillationTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly Recipe original;

    public DistillationTests()
    {
        original = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with { Position = new LearnedOptions() },
            Training = tiny.Recipe.Training with { Steps = 6 },
            Checkpoint = new CheckpointOptions { Every = 3, Keep = 10 },
        };
        tiny.Recipe = original;
        tiny.Train("teacher");
        tiny.Recipe = original with
        {
            Name = "student",
            Model = (DecoderOptions)original.Model with { Dim = 12, Layers = 1 },
            Distillation = new() { Teacher = tiny.RunPath("teacher"), Temperature = 2 },
        };
    }

    public void Dispose() => tiny.Dispose();

    private DistillationOptions Options => tiny.Recipe.Distillation!;

    [Theory]
    [InlineData(DivergenceDirection.Forward, 1)]
    [InlineData(DivergenceDirection.Forward, 0.7)]
    [InlineData(DivergenceDirection.Forward, 4)]
    [InlineData(DivergenceDirection.Reverse, 1)]
    [InlineData(DivergenceDirection.Reverse, 0.7)]
    [InlineData(DivergenceDirection.Reverse, 4)]
    public void Divergences_and_gradients_are_those_of_their_formulas(DivergenceDirection direction, double temperature)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor s = randn([5, 11], ScalarType.Float64).mul(3), t = randn([5, 11], ScalarType.Float64).mul(3);
        Tensor logits = s.to(ScalarType.Float32).requires_grad_();
        DistillationOptions options = Options with { Divergence = direction, Temperature = temperature };

        Tensor divergence = DistillationLoss.Divergence(logits, t.to(ScalarType.Float32), options);
        Tensor gradient = Differentiation.Grad([divergence], [logits])[0]!;

        Tensor p = s.div(temperature).exp(), q = t.div(temperature).exp();
        (p, q) = (p.div(p.sum(1, keepdim: true)), q.div(q.sum(1, keepdim: true)));
        Tensor ratio = p.log().sub(q.log()), each = p.mul(ratio).sum(1, keepdim: true);
        (Tensor value, Tensor slope) = direction == DivergenceDirection.Forward
            ? (q.mul(ratio.neg()).sum(), p.sub(q))
            : (each.sum(), p.mul(ratio.sub(each)));
        Assert.Equal(value.ToDouble(), divergence.ToDouble(), 1e-4);
        TensorAssert.Close(slope.div(temperature).to(ScalarType.Float32), gradient, 1e-5, "gradient");
    }

    [Theory]
    [InlineData(DivergenceDirection.Forward, 0.3, 0.1, 0)]
    [InlineData(DivergenceDirection.Reverse, 1, 0, 0)]
    [InlineData(DivergenceDirection.Forward, 0.5, 0, 0.7)]
    public void The_loss_is_mixed_over_the_targets_that_count(
        DivergenceDirection direction, double weight, double smoothing, double hiddenWeight)
    {
        if (hiddenWeight > 0)
            tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dim = 16 } }; // the teacher's
        Use(Options with { Divergence = direction, Weight = weight, HiddenWeight = hiddenWeight });
        DropNothing();
        using TrainState training = tiny.NewState();
        using LanguageModel teacher = Checkpoint.Open(Options.Teacher).LoadModel(CPU);
        Batch batch = WithTargets(Crops().Next(4), keep: 37);
        using DisposeScope scope = NewDisposeScope();
        GradientComputation gradients = GradientComputation.Create(
            training.Model, CPU, null, new TeacherLoss(teacher, tiny.Recipe.Distillation!, smoothing));

        double loss = gradients.Compute(new StepBatch([batch])).Loss.ToDouble();
        float[] gradient = TinyRun.Gradient(training.Model);

        // All logits at once.
        (ModelInput input, Tensor targets) = batch.ToTensors(CPU);
        Tensor logits = training.Model.forward(input).flatten(0, 1), places = targets.reshape(-1).ne(-100).nonzero().reshape(-1);
        Tensor entropy = nn.functional.cross_entropy(logits, targets.reshape(-1), ignore_index: -100, label_smoothing: smoothing);
        Tensor taught = teacher.forward(input).detach().flatten(0, 1).index_select(0, places);
        Tensor divergence = DistillationLoss.Divergence(logits.index_select(0, places), taught, Options).div(37);
        Tensor expected = entropy.mul(1 - weight).add(divergence.mul(4 * weight));
        if (hiddenWeight > 0)
        {
            Tensor own = training.Model.Hidden(input).flatten(0, 1), others = teacher.Hidden(input).detach().flatten(0, 1); // (N, C)
            Tensor lengths = own.square().sum(dim: -1).mul(others.square().sum(dim: -1)).sqrt(), cosine = own.mul(others).sum(dim: -1).div(lengths);
            expected = expected.add(cosine.index_select(0, places).neg().add(1).mean().mul(hiddenWeight));
        }
        training.Model.zero_grad();
        Differentiation.Backward(expected);
        Assert.Equal(expected.ToDouble(), loss, 1e-5);
        TensorAssert.Equal(gradient, TinyRun.Gradient(training.Model), 1e-5);
    }

    [Theory]
    [InlineData(DivergenceDirection.Forward)]
    [InlineData(DivergenceDirection.Reverse)]
    public void A_student_that_is_its_teacher_has_nothing_to_learn(DivergenceDirection direction)
    {
        tiny.Recipe = original with
        {
            Distillation = Options with { Weight = 1, Divergence = direction },
            Initialize = new() { From = Options.Teacher },
        };
        DropNothing();
        using TrainState training = tiny.NewState();
        using DisposeScope scope = NewDisposeScope();

        (Tensor loss, Tensor norm, _) = Gradients(training).Compute(new StepBatch([Crops().Next(4)]));

        Assert.Equal(0, loss.ToDouble(), 1e-6);
        Assert.Equal(0, norm.ToDouble(), 1e-5);
    }

    [Theory]
    [InlineData(2, false, 0.2)]
    [InlineData(1, true, 0.2)]
    [InlineData(2, true, 0)]
    public void Threads_and_checkpointed_blocks_give_the_gradients_of_one_batch(int threads, bool checkpointing, double dropout)
    {
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dropout = dropout } };
        using TrainState training = tiny.NewState();
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        StepBatch parts = new([Crops().Next(4), WithTargets(Crops().Next(4), keep: 5)]);
        using DisposeScope scope = NewDisposeScope();
        (float Loss, float[] Gradient) Compute(WorkerThreads? threads)
        {
            manual_seed(6); // which numbers are dropped
            float loss = (float)Gradients(training, threads).Compute(parts).Loss.ToDouble();
            return (loss, TinyRun.Gradient(training.Model));
        }
        (float Loss, float[] Gradient) one = Compute(null);
        training.Model.ActivationCheckpointing = checkpointing;
        (float Loss, float[] Gradient) other = Compute(workers);
        Finalizers.Run();
        long live = LiveTensors.Count();
        for (int again = 0; again < 5; again++)
        {
            using DisposeScope inner = NewDisposeScope();
            Assert.Equal(other.Gradient, Compute(workers).Gradient);
        }

        Assert.Equal(one.Loss, other.Loss, 1e-5);
        TensorAssert.Equal(one.Gradient, other.Gradient, 1e-5);
        Assert.InRange(LiveTensors.Count(), 0, live);
    }

    [Fact]
    public void Micro_batches_give_the_gradients_of_the_whole_batch()
    {
        DropNothing();
        using TrainState training = tiny.NewState();
        Batch batch = Crops().Next(8);
        using DisposeScope scope = NewDisposeScope();

        double whole = Gradients(training).Compute(new StepBatch([batch])).Loss.ToDouble();
        float[] gradient = TinyRun.Gradient(training.Model);
        double parts = Gradients(training).Compute(new StepBatch([batch.Part(0, 2), batch.Part(1, 2)])).Loss.ToDouble();

        Assert.Equal(whole, parts, 1e-5);
        TensorAssert.Equal(gradient, TinyRun.Gradient(training.Model), 1e-5);
    }

    [Theory]
    [InlineData(DivergenceDirection.Forward)]
    [InlineData(DivergenceDirection.Reverse)]
    public void A_student_comes_nearer_to_its_teacher(DivergenceDirection direction)
    {
        Use(Options with { Weight = 1, Temperature = 1, Divergence = direction });
        DropNothing();
        using TrainState training = tiny.NewState();
        using LanguageModel teacher = Checkpoint.Open(Options.Teacher).LoadModel(CPU);
        double before = Distance(training.Model, teacher);
        float[] taught = Weights(teacher);

        for (int step = 0; step < 20; step++) training.TakeStep(1e-2);

        Assert.InRange(Distance(training.Model, teacher), 0, 0.5 * before);
        Assert.Equal(taught, Weights(teacher));
    }

    [Fact]
    public void A_killed_and_resumed_run_equals_one_that_was_not_bit_for_bit()
    {
        tiny.Train("whole");
        Assert.Contains(File.ReadAllLines(Path.Combine(tiny.RunPath("whole"), "log.txt")), line =>
            line.Contains("distillation: ") && line.Contains("forward divergence at temperature 2 with weight 0.5"));
        tiny.Train("parts", until: 3);
        tiny.Train("parts", resume: true);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "teacher.json"])
            Assert.Equal(File.ReadAllBytes(In("whole", file)), File.ReadAllBytes(In("parts", file)));
    }

    [Fact]
    public void A_run_is_not_resumed_with_another_teacher()
    {
        tiny.Train(until: 3);
        string before = Checkpoint.Open(Options.Teacher).WeightsSha256;
        Recipe student = tiny.Recipe;
        tiny.Recipe = original with { Seed = 8 };
        tiny.Train("other");
        tiny.Recipe = student with { Distillation = student.Distillation! with { Teacher = tiny.RunPath("other") } };

        string message = Assert.Throws<UserException>(() => tiny.Train(resume: true)).Message;

        Assert.Contains("distillation.teacher: the run has learned from", message);
        Assert.Contains(before, message);
        Assert.Contains(Checkpoint.Open(tiny.RunPath("other")).WeightsSha256, message);
    }

    [Fact]
    public void Validation_is_the_plain_cross_entropy()
    {
        TrainingResult result = tiny.Train();
        Checkpoint best = Checkpoint.Open(tiny.RunPath());
        using LanguageModel model = best.LoadModel(CPU);
        ValidationSet validation = ValidationSet.Create(
            tiny.Data, tiny.Recipe.Data, TinyRun.Context, tiny.Recipe.Training.MicroBatch, 4, 1);
        Assert.Equal(LossEvaluator.Evaluate(model, validation, CPU).MeanLoss, result.BestLoss!.Value, 1e-6);
    }

    [Fact]
    public void A_plan_counts_the_teacher()
    {
        string datasets = Path.Combine(tiny.Root, "datasets");
        RunPlan plan = RunPlan.Of(tiny.Recipe, datasets), without = RunPlan.Of(tiny.Recipe with { Distillation = null }, datasets);
        using LanguageModel teacher = Checkpoint.Open(Options.Teacher).LoadModel(CPU);
        long parameters = teacher.parameters().Sum(p => p.numel());

        Assert.Equal((parameters, 4 * parameters), (plan.Teacher!.Parameters, plan.Teacher.WeightBytes));
        Assert.Null(without.Teacher);
        // At least the logits of both models.
        long logits = 2L * 4 * 8 * TinyRun.Context * tiny.Data.Tokenizer.VocabularySize;
        Assert.InRange(plan.Teacher.HeldBytes, logits, 20 * logits);
        Assert.InRange(plan.TrainingFlopsPerToken, without.TrainingFlopsPerToken + 2 * 2 * 12 * 16 * 16, double.MaxValue);
        if (plan.PeakBytes is { } peak) Assert.InRange(peak, plan.Teacher.WeightBytes + plan.Teacher.HeldBytes, long.MaxValue);
    }

    [Theory]
    [InlineData(0, 0.5, "distillation.temperature")]
    [InlineData(-1, 0.5, "distillation.temperature")]
    [InlineData(1, 0, "distillation.weight")]
    [InlineData(1, 1.5, "distillation.weight")]
    public void Figures_out_of_range_are_mistakes_of_the_recipe(double temperature, double weight, string setting)
    {
        Use(Options with { Temperature = temperature, Weight = weight });
        Assert.Contains(setting, tiny.ConfigurationError());
    }

    [Fact]
    public void A_teacher_that_does_not_fit_is_named()
    {
        Recipe fitting = tiny.Recipe;
        Use(Options with { Teacher = tiny.RunPath("nowhere") });
        Assert.StartsWith("distillation.teacher: ", Refusal());
        Assert.Contains("nowhere", Refusal());

        tiny.Recipe = fitting with { Model = (DecoderOptions)fitting.Model with { ContextLength = 32 } };
        Assert.Contains("has learned 16 positions, and model.contextLength is 32; set contextLength to 16 or less", Refusal());

        EncoderOptions encoder = new()
        {
            Dim = 12, Layers = 1, ContextLength = TinyRun.Context, Attention = new MultiHeadOptions { Heads = 2 },
        };
        tiny.Recipe = fitting with { Model = encoder };
        Assert.Contains("is of architecture 'decoder', and model.architecture is 'encoder'", Refusal());

        TokenizerTrainer learner = new CharacterTokenizerOptions().CreateTrainer();
        learner.Observe("the cat");
        Tokenizer other = learner.Build();
        string message = Assert.Throws<UserException>(() => Teacher.Find(fitting.Distillation!, fitting, other)).Message;
        Assert.Contains($"another tokenizer (byte, {tiny.Data.Tokenizer.VocabularySize} tokens; here", message);
    }

    [Fact]
    public void Masked_tokens_and_packed_documents_are_distilled()
    {
        Recipe decoder = tiny.Recipe;
        tiny.Recipe = decoder with { Data = decoder.Data with { Packing = DataPacking.Documents } };
        Assert.Equal(6, tiny.Train("packed").Step);

        tiny.Recipe = original with
        {
            Model = new EncoderOptions
            {
                Dim = 16, Layers = 1, ContextLength = TinyRun.Context, HeadTransform = true, Attention = new MultiHeadOptions { Heads = 2 },
            },
            Data = original.Data with { Objective = DataObjective.Masked },
            Tokenizer = new BpeTokenizerOptions { VocabularySize = 270, SpecialTokens = ["[MASK]"] },
        };
        tiny.Train("masked-teacher");
        tiny.Recipe = tiny.Recipe with
        {
            Model = (EncoderOptions)tiny.Recipe.Model with { Dim = 8 }, Distillation = new() { Teacher = tiny.RunPath("masked-teacher") },
        };
        Assert.Equal(6, tiny.Train("masked").Step);
    }

    [Fact]
    public void In_bfloat16_the_teacher_is_rounded_too()
    {
        Use(Options with { Weight = 1, Temperature = 0.02 }); // at which small differences count
        DropNothing();
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Precision = Precision.BFloat16 } };
        using TrainState training = tiny.NewState();
        using LanguageModel rounded = Checkpoint.Open(Options.Teacher).LoadModel(CPU, InferencePrecision.BFloat16);
        using LanguageModel exact = Checkpoint.Open(Options.Teacher).LoadModel(CPU);
        Batch batch = Crops().Next(4);
        using DisposeScope scope = NewDisposeScope();

        double loss = Gradients(training).Compute(new StepBatch([batch])).Loss.ToDouble();

        double Expected(LanguageModel teacher)
        {
            using IDisposable quiet = no_grad();
            (ModelInput input, _) = batch.ToTensors(CPU);
            Tensor sum = DistillationLoss.Divergence(training.Model.forward(input), teacher.forward(input), Options);
            return sum.ToDouble() * 0.02 * 0.02 / batch.TargetTokens;
        }
        double apart = Math.Abs(Expected(exact) - loss);
        Assert.InRange(apart, 1e-5 * loss, 0.05 * loss);
        Assert.InRange(Math.Abs(Expected(rounded) - loss), 0, 0.1 * apart);
    }

    [Theory]
    [InlineData(null, Precision.Float32)]
    [InlineData(null, Precision.BFloat16)]
    [InlineData(16, Precision.Float32)]
    public void Adapters_learn_from_a_teacher_and_resume_bit_for_bit(int? kept, Precision precision)
    {
        DropNothing();
        Recipe student = tiny.Recipe with { Training = tiny.Recipe.Training with { Precision = precision } };
        tiny.Recipe = student with { Distillation = null, Training = student.Training with { Steps = 1 } };
        tiny.Train("base");
        tiny.Recipe = student with
        {
            Initialize = new() { From = tiny.RunPath("base") },
            Adapter = new LoraOptions { Rank = 4, Targets = ["*.projection.*", "output", "up", "down"] },
            Distillation = student.Distillation! with { Weight = 1, Cache = kept is { } count ? new() { TopK = count } : null },
        };
        tiny.Train("whole");
        tiny.Train("parts", until: 3);
        tiny.Train("parts", resume: true);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "teacher.json"])
            Assert.Equal(File.ReadAllBytes(In("whole", file)), File.ReadAllBytes(In("parts", file)));
        using TrainState training = tiny.NewState();
        using LanguageModel teacher = Checkpoint.Open(Options.Teacher).LoadModel(CPU);
        double before = Distance(training.Model, teacher);
        for (int step = 0; step < 20; step++) training.TakeStep(2e-2);
        Assert.InRange(Distance(training.Model, teacher), 0, 0.9 * before);
    }

    [Fact]
    public void Hidden_states_of_different_widths_are_not_compared()
    {
        Use(Options with { HiddenWeight = 1 });
        string message = Assert.Throws<UserException>(
            () => Teacher.Find(tiny.Recipe.Distillation!, tiny.Recipe, tiny.Data.Tokenizer)).Message;
        Assert.StartsWith("distillation.hiddenWeight: hidden states of ", message, StringComparison.Ordinal);
        Assert.Contains("have 16 numbers, and model.dim is 12", message, StringComparison.Ordinal);
    }

    // Of what both find of the same rows, for a token.
    private double Distance(SequenceModel student, LanguageModel teacher)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        (ModelInput input, _) = Crops().Next(8).ToTensors(CPU);
        return DistillationLoss.Divergence(student.forward(input), teacher.forward(input), Options).ToDouble() / (8 * TinyRun.Context);
    }

    private string Refusal() => Assert.Throws<UserException>(() => Teacher.Find(Options, tiny.Recipe, tiny.Data.Tokenizer)).Message;

    private void Use(DistillationOptions options) => tiny.Recipe = tiny.Recipe with { Distillation = options };

    private void DropNothing() => tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dropout = 0 } };

    private static GradientComputation Gradients(TrainState training, WorkerThreads? threads = null) =>
        GradientComputation.Create(training.Model, CPU, threads, training.Loss);

    private string In(string run, string file) => Path.Combine(tiny.Store(run).DirectoryOf(6), file);

    private BatchStream Crops() => BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 1);

    private static float[] Weights(SequenceModel model) => [.. model.parameters().SelectMany(p => p.data<float>().ToArray())];

    private static Batch WithTargets(Batch batch, int keep)
    {
        long[] targets = [.. batch.Targets.Select((target, i) => i < keep ? target : Batch.Ignored)];
        return new Batch(batch.Inputs, targets, batch.Rows, batch.Columns);
    }
}
