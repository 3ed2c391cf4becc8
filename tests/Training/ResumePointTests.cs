using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Models;
using Trainer.Training.Optimizers;
using Trainer.Training.Preferences;

namespace Trainer.Training.Tests;

public sealed class ResumePointTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    /// <summary>Step 5 is in the first epoch, step 10 in the second; dropout is on.</summary>
    [Theory]
    [InlineData(5, 0)]
    [InlineData(10, 1)]
    public void A_killed_and_resumed_run_equals_one_that_was_not_bit_for_bit(long checkpoint, long epoch)
    {
        tiny.Train("whole");
        LeaveAsKilledAfter(checkpoint, "whole", "killed");
        Assert.Equal(epoch, CheckpointState.Load(tiny.Store("killed").DirectoryOf(checkpoint)).Position.Epoch);

        TrainingResult result = tiny.Train("killed", resume: true);

        Assert.Equal((TrainingOutcome.Completed, 12L), (result.Outcome, result.Step));
        Assert.Equal(Curve("whole"), Curve("killed"));
        foreach (long step in tiny.Store("whole").Steps)
            foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json", "config.json"])
                Assert.Equal(Bytes("whole", step, file), Bytes("killed", step, file));
        Assert.Equal(tiny.Store("whole").Best, tiny.Store("killed").Best);
        Assert.Equal(12, tiny.Store("killed").Last);
    }

    [Fact]
    public void An_interrupted_run_saves_its_last_step_and_goes_on_from_there_exactly()
    {
        tiny.Train("whole");
        using StopSignal stop = new();
        RecordingSink sink = new() { OnStep = metrics => { if (metrics.Step == 7) stop.Request(); } };

        TrainingResult interrupted = tiny.Train("stopped", sink: sink, stop: stop);
        Assert.Equal((TrainingOutcome.Interrupted, 7L, 7L), (interrupted.Outcome, interrupted.Step, tiny.Store("stopped").Last));

        Assert.Equal(TrainingOutcome.Completed, tiny.Train("stopped", resume: true).Outcome);
        Assert.Equal(Curve("whole"), Curve("stopped"));
        Assert.Equal(Bytes("whole", 12, "model.safetensors"), Bytes("stopped", 12, "model.safetensors"));
    }

    [Fact]
    public void A_run_stopped_before_its_first_step_saves_and_goes_on_too()
    {
        tiny.Train("whole");
        using StopSignal stop = new();
        stop.Request();

        Assert.Equal((TrainingOutcome.Interrupted, 0L), (tiny.Train("early", stop: stop).Outcome, tiny.Store("early").Last));
        tiny.Train("early", resume: true);

        Assert.Equal(Curve("whole"), Curve("early"));
        Assert.Equal(Bytes("whole", 12, "model.safetensors"), Bytes("early", 12, "model.safetensors"));
    }

    [Fact]
    public void A_run_that_ends_early_on_request_keeps_its_schedule_and_goes_on_exactly()
    {
        tiny.Train("whole");

        TrainingResult paused = tiny.Train("paused", until: 7);
        Assert.Equal((TrainingOutcome.Paused, 7L, 7L), (paused.Outcome, paused.Step, tiny.Store("paused").Last));
        Assert.Equal(TrainingOutcome.Paused, tiny.Train("paused", resume: true, until: 6).Outcome);
        Assert.EndsWith("it was to end after step 6, and its checkpoint is of step 7 already", tiny.Progress[^1]);

        Assert.Equal(TrainingOutcome.Completed, tiny.Train("paused", resume: true, until: 12).Outcome);
        Assert.Equal(Curve("whole"), Curve("paused"));
        Assert.Equal(Bytes("whole", 12, "model.safetensors"), Bytes("paused", 12, "model.safetensors"));
        Assert.Contains("a run of 12 steps cannot end after step 13",
            Assert.Throws<ConfigurationException>(() => tiny.Train("long", until: 13)).Message);
    }

    [Fact]
    public void A_run_can_be_lengthened()
    {
        tiny.Recipe = tiny.Recipe with { Schedule = new CosineSchedule { WarmupSteps = 2, DecaySteps = 12 } };
        tiny.Train("whole");
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 8 } };
        tiny.Train("longer");
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 12 } };
        tiny.Train("longer", resume: true);

        Assert.Equal(Bytes("whole", 12, "model.safetensors"), Bytes("longer", 12, "model.safetensors"));
        Assert.Contains("changed since the checkpoint: training.steps was 8 and is 12 now", tiny.Progress);
    }

    [Fact]
    public void A_finished_run_has_nothing_left_to_do_and_is_left_alone()
    {
        tiny.Train();
        byte[] before = Bytes("run", 12, "model.safetensors");

        TrainingResult result = tiny.Train(resume: true);

        Assert.Equal((TrainingOutcome.Completed, 12L), (result.Outcome, result.Step));
        Assert.Equal(before, Bytes("run", 12, "model.safetensors"));
        Assert.EndsWith("all 12 steps are done (its checkpoint is of step 12); raise training.steps to go on", tiny.Progress[^1]);
    }

    [Fact]
    public void Resuming_a_run_without_checkpoints_begins_it()
    {
        Assert.Equal(12, tiny.Train(resume: true).Step);
        Assert.Contains("no checkpoint yet: the run begins at its first step", tiny.Progress);
    }

    [Fact]
    public void A_run_is_never_overwritten()
    {
        tiny.Train();

        var error = Assert.Throws<UserException>(() => tiny.Train());

        Assert.Equal(
            $"{tiny.RunPath()}: a run with checkpoints is here already, the newest of step 12; " +
            "go on with --resume, or start another run with --run and a new directory", error.Message);
    }

    [Fact]
    public void A_damaged_newest_checkpoint_is_passed_over_with_a_warning_and_made_again()
    {
        tiny.Train("whole");
        LeaveAsKilledAfter(10, "whole", "killed");
        string damaged = Path.Combine(tiny.Store("killed").DirectoryOf(10), "optimizer.safetensors");
        File.WriteAllBytes(damaged, File.ReadAllBytes(damaged)[..^1]);

        tiny.Train("killed", resume: true);

        Assert.Contains(tiny.Progress, line => line.StartsWith($"passing over a damaged checkpoint: {damaged}: it has "));
        Assert.Equal(Bytes("whole", 10, "optimizer.safetensors"), Bytes("killed", 10, "optimizer.safetensors"));
        Assert.Equal(Bytes("whole", 12, "model.safetensors"), Bytes("killed", 12, "model.safetensors"));
    }

    [Fact]
    public void What_gives_the_weights_their_meaning_must_not_change()
    {
        tiny.Train();
        tiny.Recipe = tiny.Recipe with
        {
            Seed = 8,
            Model = (DecoderOptions)tiny.Recipe.Model with { Layers = 3 },
            Optimizer = (AdamWOptions)tiny.Recipe.Optimizer with { LearningRate = 1e-3 },
        };

        var error = Assert.Throws<UserException>(() => tiny.Train(resume: true));

        Assert.Equal(
            """
            the run cannot go on with another configuration than its checkpoint's:
              model.layers was 2 and is 3 now
              seed was 7 and is 8 now
            set them back, or start another run with --run and a new directory (its weights can come from initialize.from)
            """, error.Message);
    }

    [Fact]
    public void An_average_of_the_weights_can_neither_begin_nor_end_but_its_decay_can_change()
    {
        tiny.Train("plain");
        Recipe plain = tiny.Recipe;
        tiny.Recipe = plain with { Optimizer = plain.Optimizer with { Average = new() } };
        tiny.Train("averaged");

        Assert.Contains("optimizer.average", Assert.Throws<UserException>(() => tiny.Train("plain", resume: true)).Message);
        tiny.Recipe = plain;
        Assert.Contains("optimizer.average", Assert.Throws<UserException>(() => tiny.Train("averaged", resume: true)).Message);
        tiny.Recipe = plain with { Optimizer = plain.Optimizer with { Average = new() { Decay = 0.5 } } };
        Assert.Equal(TrainingOutcome.Completed, tiny.Train("averaged", resume: true).Outcome);
    }

    [Theory]
    [InlineData("""{ "type": "sgd", "momentum": 0 }""", """{ "type": "sgd" }""",
        "optimizer.momentum was 0 and is 0.9 now; a checkpoint holds momentum only where this is above 0, so that it can neither begin " +
            "nor end")]
    [InlineData("""{ "type": "sgd" }""", """{ "type": "sgd", "momentum": 0 }""", "optimizer.momentum was 0.9 and is 0 now")]
    [InlineData("""{ "type": "muon" }""", """{ "type": "muon", "adamw": { "momentPrecision": "int8" } }""",
        "optimizer.adamw.momentPrecision was absent and is \"int8\" now; where absent, it is \"float32\"")]
    [InlineData("""{ "type": "muon", "adamw": { "momentPrecision": "int8" } }""", """{ "type": "muon" }""",
        "optimizer.adamw.momentPrecision was \"int8\" and is absent now")]
    [InlineData("""{ "type": "adamw" }""", """{ "type": "adamw", "momentPrecision": "int8" }""",
        "optimizer.momentPrecision was \"float32\" and is \"int8\" now")]
    public void What_an_optimizer_has_no_state_for_is_refused_before_state_is_loaded(string before, string after, string message)
    {
        var error = Assert.Throws<UserException>(() => ResumeValidation.Check(WithOptimizer(before), WithOptimizer(after)));

        string[] lines = error.Message.Split('\n');
        Assert.Equal("the run cannot go on with another configuration than its checkpoint's:", lines[0]);
        Assert.StartsWith($"  {message}", Assert.Single(lines[1..^1]));
    }

    [Theory]
    [InlineData("""{ "type": "sgd" }""", """{ "type": "sgd", "momentum": 0.5 }""", "optimizer.momentum was 0.9 and is 0.5 now")]
    [InlineData("""{ "type": "muon" }""", """{ "type": "muon", "momentum": 0, "nesterov": false }""",
        "optimizer.momentum was 0.95 and is 0 now")]
    [InlineData("""{ "type": "muon" }""", """{ "type": "muon", "adamw": { "momentPrecision": "float32" } }""",
        "optimizer.adamw.momentPrecision was absent and is \"float32\" now")]
    public void What_leaves_the_state_as_it_is_can_change(string before, string after, string message)
    {
        tiny.Recipe = WithOptimizer(before);
        tiny.Train(until: 4);
        tiny.Recipe = WithOptimizer(after);

        Assert.Equal(TrainingOutcome.Completed, tiny.Train(resume: true).Outcome);
        Assert.Contains($"changed since the checkpoint: {message}", tiny.Progress);
    }

    [Fact]
    public void The_best_loss_is_kept_for_the_same_measure_alone()
    {
        tiny.Train();
        ResumePoint point = ResumePoint.At(tiny.Store().DirectoryOf(12));
        Recipe recipe = tiny.Recipe;
        List<string> lines = [];
        ResumePoint With(Recipe later) => point.ToGoOnWith(later, lines.Add);

        Assert.NotNull(With(recipe with { Training = recipe.Training with { Steps = 20 } }).State.BestLoss);
        Assert.Empty(lines);
        foreach (Recipe other in (Recipe[])
            [recipe with { Evaluation = recipe.Evaluation with { Batches = 1 } }, recipe with { Preference = new DpoOptions() }])
        {
            CheckpointState state = With(other).State;
            Assert.Equal(12, state.Step);
            Assert.Null(state.BestLoss);
            Assert.Null(state.BestStep);
        }
        Assert.Equal(2, lines.Count);
        Assert.EndsWith("the next evaluation is the best again: evaluation.batches was 2 and is 1 now", lines[0]);
        Assert.Contains("preference.type was absent and is \"dpo\" now", lines[1]);
    }

    [Fact]
    public void A_run_that_is_measured_otherwise_has_its_next_evaluation_as_its_best()
    {
        tiny.Train(until: 9);
        tiny.Recipe = tiny.Recipe with { Evaluation = tiny.Recipe.Evaluation with { Batches = 1 } };
        RecordingSink sink = new();

        tiny.Train(resume: true, sink: sink);

        Assert.Contains(tiny.Progress, line => line.StartsWith("the best loss so far was of another measure"));
        Assert.Equal((12L, 12L), (sink.Evaluations[0].Step, sink.Evaluations[0].BestStep));
        Assert.Equal(sink.Evaluations[0].ValidationLoss, sink.Evaluations[0].BestLoss);
        Assert.Equal(12, tiny.Store().Best);
    }

    [Fact]
    public void A_finished_run_keeps_its_best_however_it_would_be_measured()
    {
        double? best = tiny.Train().BestLoss;
        tiny.Recipe = tiny.Recipe with { Evaluation = tiny.Recipe.Evaluation with { Batches = 1 } };

        Assert.Equal(best, tiny.Train(resume: true).BestLoss);
        Assert.NotNull(best);
        Assert.DoesNotContain(tiny.Progress, line => line.StartsWith("the best loss so far was of another measure"));
    }

    [Fact]
    public void Sources_mixed_by_weight_go_on_exactly_and_threads_that_read_ahead_change_nothing()
    {
        string other = Path.Combine(tiny.Root, "other.txt");
        File.WriteAllText(other, string.Concat(Enumerable.Range(0, 90).Select(i => $"{i * i} ")));
        tiny.Recipe = tiny.Recipe with
        {
            Data = new DataOptions
            {
                Train = [new SourceOptions { Path = tiny.TextPath, Weight = 3 }, new SourceOptions { Path = other, Weight = 2 }],
                Validation = [new SourceOptions { Path = tiny.TextPath }],
            },
        };
        tiny.Train("whole");
        LeaveAsKilledAfter(10, "whole", "killed");
        StreamPosition position = CheckpointState.Load(tiny.Store("killed").DirectoryOf(10)).Position;
        Assert.Equal((160L, 96L, 64L), (position.Index, position.Sources![0].Rows, position.Sources[1].Rows));
        Assert.True(position.Sources[1].Position.Epoch > 0);

        tiny.Recipe = tiny.Recipe with { Data = tiny.Recipe.Data with { LoaderThreads = 3 } };
        tiny.Train("killed", resume: true);

        Assert.Contains("changed since the checkpoint: data.loaderThreads was 0 and is 3 now", tiny.Progress);
        Assert.Equal(Curve("whole"), Curve("killed"));
        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json"])
            Assert.Equal(Bytes("whole", 12, file), Bytes("killed", 12, file));
    }

    [Fact]
    public void The_text_may_have_moved()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 4 } };
        tiny.Train();
        string moved = Path.Combine(tiny.Root, "moved.txt");
        File.Move(tiny.TextPath, moved);
        tiny.Recipe = tiny.Recipe with
        {
            Data = tiny.Recipe.Data with { Train = [new SourceOptions { Path = moved }] },
            Training = tiny.Recipe.Training with { Steps = 5 },
        };

        Assert.Equal(5, tiny.Train(resume: true).Step);
        Assert.Contains($"changed since the checkpoint: data.train.0.path was \"{tiny.TextPath}\" and is \"{moved}\" now", tiny.Progress);
    }

    [Fact]
    public void The_text_must_not_change_either()
    {
        tiny.Train();
        File.AppendAllText(tiny.TextPath, "and more");

        var error = Assert.Throws<UserException>(() => tiny.Train(resume: true));

        Assert.StartsWith($"the training data changed since {tiny.Store().DirectoryOf(12)} was saved (fingerprint ", error.Message);
    }

    private Recipe WithOptimizer(string optimizer) => ConfigurationJson.Deserialize<Recipe>(
        Optimizers.OptimizerTests.WithOptimizer(ConfigurationJson.Serialize(tiny.Recipe), optimizer), "test");

    /// <summary>What kill -9 after a checkpoint leaves: no later checkpoint, but metrics of later steps.</summary>
    private void LeaveAsKilledAfter(long step, string from, string to)
    {
        foreach (string path in Directory.EnumerateFiles(tiny.RunPath(from), "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(tiny.RunPath(to), Path.GetRelativePath(tiny.RunPath(from), path));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(path, target);
        }
        foreach (long later in tiny.Store(to).Steps.Where(s => s > step))
            Directory.Delete(tiny.Store(to).DirectoryOf(later), recursive: true);
        Directory.CreateDirectory(Path.Combine(tiny.RunPath(to), "checkpoints", ".tmp-step-00000012"));
    }

    private byte[] Bytes(string run, long step, string file) => File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(step), file));

    private string[] Curve(string run)
    {
        string[] timing = ["tokensPerSecond", "stepSeconds", "modelFlopUtilisation", "evaluationSeconds"];
        return [.. File.ReadLines(Path.Combine(tiny.RunPath(run), "metrics.jsonl")).Select(line =>
        {
            JsonObject record = JsonNode.Parse(line)!.AsObject();
            foreach (string name in timing) record.Remove(name);
            return record.ToJsonString();
        })];
    }
}
