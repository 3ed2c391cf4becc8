using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Tests;
using Trainer.Training.Losses;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Runs that learn from what is kept of a teacher of a few steps.</summary>
public sealed class TeacherCacheTests : IDisposable
{
    private readonly TaughtRun taught = new();

    public void Dispose() => taught.Dispose();

    private TinyRun Tiny => taught.Tiny;

    [Theory]
    [InlineData(DivergenceDirection.Forward)]
    [InlineData(DivergenceDirection.Reverse)]
    public void All_tokens_kept_train_as_the_teacher_beside_the_student_does(DivergenceDirection direction)
    {
        taught.Distil(RowKind.Crops, topK: 256);
        Tiny.Recipe = Tiny.Recipe with { Distillation = taught.Options with { Divergence = direction, Weight = 1 } };
        RecordingSink cached = new(), beside = new();
        Tiny.Train("cached", sink: cached);
        Tiny.Recipe = Tiny.Recipe with
        {
            Distillation = taught.Options with { Cache = null }, Data = Tiny.Recipe.Data with { ShiftWindows = false },
        };
        Tiny.Train("beside", sink: beside);

        Assert.Equal(6, cached.Steps.Count);
        foreach ((var one, var other) in beside.Steps.Zip(cached.Steps))
        {
            Assert.Equal(one.Loss, other.Loss, 5e-4); // float16 on disk
            Assert.Equal(one.GradientNorm, other.GradientNorm, 1e-3);
        }
        Assert.Equal(beside.Evaluations[^1].ValidationLoss, cached.Evaluations[^1].ValidationLoss, 1e-4);
    }

    [Theory]
    [InlineData(RowKind.Crops)]
    [InlineData(RowKind.Mixed)]
    [InlineData(RowKind.Documents)]
    [InlineData(RowKind.Conversations)]
    [InlineData(RowKind.Pairs)]
    [InlineData(RowKind.SequenceToSequence)]
    [InlineData(RowKind.StartToken)]
    [InlineData(RowKind.Prefix)]
    public void What_is_read_for_a_batch_is_what_the_teacher_finds_of_it_in_every_epoch(RowKind data)
    {
        taught.Distil(data, topK: 5);
        Recipe recipe = Tiny.Recipe.Resolve();
        int prefix = recipe.Model.PrefixLength();
        using TeacherCache cache = taught.OpenCache();
        using LanguageModel teacher = Checkpoint.Open(taught.Options.Teacher).LoadModel(CPU);
        BatchStream stream = BatchStream.Create(Tiny.Data, recipe.Data, recipe.Model.ContextLength, 3, prefix);
        HashSet<string> seen = [];
        for (int again = 0; again < 40; again++)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable quiet = no_grad();
            Batch batch = stream.Next(6).Part(again % 2, 2); // as ranks and threads share out rows
            TopTokens kept = cache.Unpack(cache.Read(batch, CPU));

            (ModelInput input, Tensor targets) = batch.ToTensors(CPU);
            Tensor logits = teacher.forward(input).flatten(0, 1).index_select(0, targets.reshape(-1).ne(-100).nonzero().reshape(-1));
            TopTokens expected = TopTokens.Of(logits, 5, 2);
            TensorAssert.Close(expected.Logs, kept.Logs, 1e-2, "logarithms");
            TensorAssert.Close(
                nn.functional.log_softmax(logits.div(2), -1).gather(-1, kept.Ids), kept.Logs.narrow(1, 0, 5), 1e-2, "tokens");
            seen.Add(stream.Position.ToString());
        }
        if (recipe.Data.HasWindows && data != RowKind.Mixed) Assert.True(stream.Position.Epoch > 0, "one epoch was looked at");
        Assert.Equal(40, seen.Count);
    }

    [Fact]
    public void A_second_run_and_another_student_read_what_the_first_kept_and_load_no_teacher()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        Tiny.Train("first");
        Assert.Single(Tiny.Progress, line => line.StartsWith("distillation: computing the 8 likeliest tokens of every target with "));
        Tiny.Train("second");
        Tiny.Recipe = Tiny.Recipe with { Seed = 9, Model = (DecoderOptions)Tiny.Recipe.Model with { Dim = 8, Layers = 2 } };
        Tiny.Train("third");
        using TrainState state = Tiny.NewState();

        Assert.Single(Tiny.Progress, line => line.Contains("computing"));
        Assert.Equal(0, state.Teacher!.FlopsPerToken(TinyRun.Context)); // there is no model
        string described = File.ReadLines(Path.Combine(Tiny.RunPath("third"), "log.txt")).Single(line => line.Contains("distillation: "));
        Assert.Contains("teaches by the 8 likeliest tokens of ", described);
        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "teacher.json"])
            Assert.Equal(File.ReadAllBytes(taught.In("first", file)), File.ReadAllBytes(taught.In("second", file)));
    }

    [Fact]
    public void A_killed_and_resumed_run_equals_one_that_was_not_bit_for_bit()
    {
        taught.Distil(RowKind.Documents, topK: 8);
        Tiny.Train("whole");
        Tiny.Train("parts", until: 3);
        Tiny.Train("parts", resume: true);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "teacher.json"])
            Assert.Equal(File.ReadAllBytes(taught.In("whole", file)), File.ReadAllBytes(taught.In("parts", file)));
    }

    [Fact]
    public void Another_teacher_has_a_cache_of_its_own_and_a_run_is_not_resumed_with_it()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        Tiny.Train(until: 3);
        Recipe student = Tiny.Recipe;
        Tiny.Recipe = student with { Seed = 8, Distillation = null };
        Tiny.Train("other");
        Tiny.Recipe = student with { Distillation = student.Distillation! with { Teacher = Tiny.RunPath("other") } };

        string message = Assert.Throws<UserException>(() => Tiny.Train(resume: true)).Message;
        Assert.Contains("distillation.teacher: the run has learned from", message);
        Tiny.Train("anew");
        Assert.Equal(2, taught.Folders().Length);
    }

    [Fact]
    public void Another_token_that_ends_the_targets_of_pairs_has_a_cache_of_its_own()
    {
        taught.Distil(RowKind.Pairs, topK: 8);
        Checkpoint teacher = Checkpoint.Open(taught.Options.Teacher);
        string KeptUpTo(string? end) => TeacherCache.KeyOf(
            Tiny.Recipe with { Data = Tiny.Recipe.Data with { EndOfDocument = end } }, Tiny.Data, teacher).FolderName;
        Assert.Equal(3, ((string?[])[null, "a", "b"]).Select(KeptUpTo).Distinct().Count());
    }

    [Fact]
    public void A_run_that_is_stopped_while_the_teacher_computes_can_be_started_again()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        using StopSignal stop = new();
        stop.Request();
        TrainingResult stopped = Tiny.Train(stop: stop);
        Assert.Equal((TrainingOutcome.Interrupted, 0L), (stopped.Outcome, stopped.Step));
        Assert.Contains(Tiny.Progress, line => line.StartsWith("interrupted while the teacher's probabilities were computed"));

        Assert.Equal(6, Tiny.Train().Step);
    }

    [Fact]
    public void More_tokens_than_there_are_is_a_mistake_of_the_recipe()
    {
        taught.Distil(RowKind.Crops, topK: 257);
        string message = Assert.Throws<ConfigurationException>(() => Tiny.Train()).Message;
        Assert.Contains(
            "distillation.cache.topK: is 257, and the vocabulary has 256 tokens; set it to 256, which keeps all, or less", message);
        taught.Distil(RowKind.Crops, topK: 0);
        Assert.Contains("distillation.cache.topK", Tiny.ConfigurationError());
    }

    [Fact]
    public void What_cannot_be_kept_is_a_mistake_of_the_recipe_that_names_the_fix()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        Recipe recipe = Tiny.Recipe;
        string Error(Recipe changed)
        {
            Tiny.Recipe = changed;
            return Tiny.ConfigurationError();
        }
        Assert.Contains(
            "distillation.hiddenWeight: is 0.5, and cache keeps the teacher's probabilities, not its hidden states",
            Error(recipe with { Distillation = taught.Options with { HiddenWeight = 0.5 } }));
        Tiny.Recipe = recipe;
        Assert.Contains(
            "data.shiftWindows: is true, and distillation.cache",
            Error(recipe with { Data = recipe.Data with { ShiftWindows = true } }));
        Assert.Contains(
            "distillation.cache: keeps what the teacher finds of rows that come again, and objective 'masked' hides other tokens",
            Error(recipe with { Data = recipe.Data with { Objective = DataObjective.Masked } }));
        Assert.Contains(
            "distillation.cache: keeps what the teacher finds of rows that come again, and data.positionSkipping",
            Error(recipe with { Data = recipe.Data with { PositionSkipping = new() { Window = 8 } } }));
        Assert.Contains("training.stages.0.sequenceLength: cuts rows into pieces of 8 tokens, and distillation.cache", Error(recipe with
        {
            Training = recipe.Training with { Stages = [new() { Until = 2, SequenceLength = 8 }] },
        }));
    }

    [Fact]
    public void A_plan_counts_the_disk_and_no_teacher()
    {
        taught.Distil(RowKind.Conversations, topK: 8);
        RunPlan plan = RunPlan.Of(Tiny.Recipe, Path.Combine(Tiny.Root, "datasets"));
        RunPlan beside = RunPlan.Of(Tiny.Recipe with { Distillation = taught.Options with { Cache = null } }, Path.Combine(Tiny.Root, "datasets"));
        RunPlan without = RunPlan.Of(Tiny.Recipe with { Distillation = null }, Path.Combine(Tiny.Root, "datasets"));
        Tiny.Train();
        using TeacherCache cache = taught.OpenCache();

        Assert.Equal((0, 0), (plan.Teacher!.WeightBytes, plan.Teacher.PassBytes));
        Assert.Equal((cache.Targets, cache.Targets * (8 * 2 + 9 * 2)), (plan.Teacher.Cache!.Targets, plan.Teacher.Cache.Bytes));
        Assert.InRange(cache.Bytes, plan.Teacher.Cache.Bytes, 2 * plan.Teacher.Cache.Bytes);
        Assert.Equal(without.TrainingFlopsPerToken, plan.TrainingFlopsPerToken);
        Assert.InRange(plan.Teacher.Cache.Flops, 1, beside.TotalFlops);
        if (plan.PeakBytes is { } peak) Assert.InRange(peak, without.PeakBytes!.Value + 1, beside.PeakBytes!.Value - 1);
    }
}
