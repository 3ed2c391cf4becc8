using System.Diagnostics;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scheduled;
using Trainer.Models.Devices;
using Trainer.Models;
using Trainer.Tests;
using Trainer.Training.Distribution;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

public sealed class TrainingSessionTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_recipe_made_in_code_is_trained_without_a_word_or_refused_with_all_its_mistakes()
    {
        RecordingSink sink = new();
        TrainingRequest request = new(tiny.Recipe, tiny.RunPath(), DatasetsDirectory: Path.Combine(tiny.Root, "datasets"));

        Assert.Equal(tiny.Recipe.Training.Steps, TrainingSession.Run(request, sink).Step);
        Assert.Equal(tiny.Recipe.Training.Steps, sink.Steps.Count);
        Recipe wrong = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = -1, BatchSize = 0 } };
        Assert.Equal(2, Assert.Throws<ConfigurationException>(() => TrainingSession.Run(request with { Recipe = wrong })).Problems.Count);
    }

    [Fact]
    public void A_cancelled_run_is_saved_and_goes_on_when_it_is_resumed()
    {
        TrainingRequest request = new(tiny.Recipe, tiny.RunPath(), DatasetsDirectory: Path.Combine(tiny.Root, "datasets"));
        TrainingResult cancelled = TrainingSession.Run(request, cancellation: new CancellationToken(canceled: true));
        Assert.Equal(TrainingOutcome.Interrupted, cancelled.Outcome);
        TrainingResult resumed = TrainingSession.Run(request with { Resume = true });
        Assert.Equal((TrainingOutcome.Completed, tiny.Recipe.Training.Steps), (resumed.Outcome, resumed.Step));
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(2, 12)] // all that there are
    public void Micro_batches_do_not_choose_the_rows_of_validation(int batches, int rows)
    {
        (IReadOnlyList<long> Inputs, int Largest) Read(int? micro)
        {
            Recipe recipe = tiny.Recipe with
            {
                Training = tiny.Recipe.Training with { BatchSize = 10, MicroBatchSize = micro },
                Evaluation = tiny.Recipe.Evaluation with { Batches = batches },
            };
            ValidationSet validation = TrainingSession.Validation(recipe, tiny.Data);
            return ([.. validation.SelectMany(batch => batch.Inputs)], validation.Max(batch => batch.Rows));
        }
        (IReadOnlyList<long> whole, int largest) = Read(null);
        Assert.Equal((rows * TinyRun.Context, 10), (whole.Count, largest));
        foreach (int micro in (int[])[5, 2, 1])
        {
            (IReadOnlyList<long> inputs, largest) = Read(micro);
            Assert.Equal(whole, inputs);
            Assert.Equal(micro, largest);
        }
    }

    [Fact]
    public void A_run_learns_evaluates_and_leaves_what_the_contract_names()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Training = tiny.Recipe.Training with { Steps = 60 },
            Evaluation = tiny.Recipe.Evaluation with { Every = 20 },
            Monitoring = tiny.Recipe.Monitoring with { LogEvery = 10, Samples = ["the "], HistogramEvery = 30 },
        };
        RecordingSink sink = new();

        TrainingResult result = tiny.Train(sink: sink);

        Assert.Equal((TrainingOutcome.Completed, 60L, 60L * 16 * TinyRun.Context), (result.Outcome, result.Step, result.Tokens));
        Assert.Equal([1, 10, 20, 30, 40, 50, 60], sink.Steps.Select(metrics => metrics.Step));
        Assert.Equal(Math.Log(256), sink.Steps[0].Loss, 0.3);
        Assert.InRange(sink.Steps[^1].Loss, 0, sink.Steps[0].Loss - 1.5);
        Assert.All(sink.Steps, metrics => Assert.InRange(metrics.ModelFlopUtilisation!.Value, 1e-9, 1));
        Assert.Equal([20, 40, 60], sink.Evaluations.Select(metrics => metrics.Step));
        Assert.Equal(result.BestLoss, sink.Evaluations.Min(metrics => metrics.ValidationLoss));
        Assert.Equal([20, 40, 60], sink.Samples.Select(sample => sample.Step));
        Assert.Contains(sink.Histograms, name => name.StartsWith("gradients/"));
        Assert.Contains(sink.Messages, line => line.StartsWith("no weight decay: 5 tensors, "));
        foreach (string file in (string[])["config.json", "metrics.jsonl", "log.txt", "samples", "checkpoints/best", "checkpoints/last"])
            Assert.True(Path.Exists(Path.Combine(tiny.RunPath(), file)), file);
    }

    [Fact]
    public void Samples_and_evaluations_change_nothing_about_training()
    {
        tiny.Train("plain");
        tiny.Recipe = tiny.Recipe with
        {
            Evaluation = new EvaluationOptions { Every = 1, Batches = 1 },
            Monitoring = tiny.Recipe.Monitoring with { Samples = ["the cat "] },
        };
        tiny.Train("watched");

        Assert.Equal(
            File.ReadAllBytes(Path.Combine(tiny.Store("plain").DirectoryOf(12), "model.safetensors")),
            File.ReadAllBytes(Path.Combine(tiny.Store("watched").DirectoryOf(12), "model.safetensors")));
    }

    [Fact]
    public void The_best_checkpoint_is_kept_when_the_loss_rises_again()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Training = tiny.Recipe.Training with { Steps = 24 },
            // A learning rate that grows until it ruins the model.
            Optimizer = new AdamWOptions { LearningRate = 3 },
            Schedule = new LinearSchedule { WarmupSteps = 24 },
            Evaluation = new EvaluationOptions { Every = 1, Batches = 2 },
            Checkpoint = new CheckpointOptions { Every = 1, Keep = 1 },
        };
        RecordingSink sink = new();

        TrainingResult result = tiny.Train(sink: sink);

        long best = sink.Evaluations.MinBy(metrics => metrics.ValidationLoss)!.Step;
        Assert.InRange(best, 1, 23);
        Assert.Equal((best, best), (result.BestStep, tiny.Store().Best));
        Assert.Equal([best, 24], tiny.Store().Steps);
        Assert.Equal(tiny.Store().DirectoryOf(best), Checkpoint.Open(tiny.RunPath()).Directory);
    }

    [Fact]
    public void Divergence_stops_the_run_with_likely_causes_and_keeps_the_weights_from_before()
    {
        using PreparedData data = tiny.Prepare();
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { NonFiniteLimit = 3 } };
        using TrainState training = tiny.NewState(data);
        using (no_grad()) training.Model.parameters().First().fill_(float.NaN);
        RecordingSink sink = new();
        using StopSignal stop = new();
        using CheckpointWriter checkpoints = new(tiny.Store(), tiny.Recipe, data.Tokenizer, [], message => Assert.Fail(message));
        EvaluatorSchedule evaluators = new([], TrainingSession.Subject(training, data, tiny.Recipe));
        SampleWriter samples = new(training, data.Tokenizer, tiny.Recipe);
        TrainingLoop loop = new(
            tiny.Recipe, training, [], evaluators, samples, checkpoints, new FlopUtilisation(_ => 1, peak: 1), sink, stop,
            new Ranks(training.Processes, new Progress<string>()), tiny.Recipe.Training.Steps);

        var error = Assert.Throws<UserException>(() => loop.Run());

        Assert.StartsWith("training stopped at step 3: the last 3 steps had a loss (NaN) or gradient norm (NaN) that is not finite. ",
            error.Message);
        Assert.Contains("optimizer.learningRate (0.003) too high", error.Message);
        Assert.Equal([1, 2, 3], sink.Steps.Select(metrics => metrics.SkippedSteps));
        Assert.All(sink.Steps, metrics => Assert.True(double.IsNaN(metrics.Loss)));
        Assert.Empty(tiny.Store().Steps);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("HUP")]
    public void A_termination_signal_finishes_the_step_and_saves(string signal)
    {
        if (signal == "HUP" && IgnoresHangups()) Assert.Skip("SIGHUP is ignored, as under nohup");
        List<string> announced = [];
        using StopSignal stop = StopSignal.Listen(announced.Add);
        RecordingSink sink = new()
        {
            OnStep = metrics =>
            {
                if (metrics.Step != 3) return;
                Process.Start("sh", ["-c", $"kill -{signal} {Environment.ProcessId}"]).WaitForExit();
                Assert.True(SpinWait.SpinUntil(() => stop.Requested, TimeSpan.FromSeconds(20)));
            },
        };

        TrainingResult result = tiny.Train(sink: sink, stop: stop);

        Assert.Equal((TrainingOutcome.Interrupted, 3L), (result.Outcome, result.Step));
        Assert.Equal(3, tiny.Store().NewestWhole(Assert.Fail));
        Assert.Equal(
            [$"SIG{signal} received: finishing this step and saving a checkpoint; once more ends at once without saving"], announced);
    }

    [Fact]
    public void Weights_can_come_from_another_run()
    {
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Initialize = new InitializeOptions { From = Path.Combine(tiny.RunPath("base"), "checkpoints", "best") },
            Training = tiny.Recipe.Training with { Steps = 2 },
            Schedule = new ConstantSchedule(),
        };

        RecordingSink sink = new();
        tiny.Train("tuned", sink: sink);

        Assert.InRange(sink.Steps[0].Loss, 0, Math.Log(256) - 0.5);
        Assert.Contains($"first weights from {tiny.Store("base").DirectoryOf(tiny.Store("base").Best!.Value)}",
            tiny.Progress.Select(line => line.Replace("/./", "/")));
    }

    [Fact]
    public void Weights_of_another_shape_are_refused_with_both_shapes()
    {
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Initialize = new InitializeOptions { From = tiny.RunPath("base") },
            Model = (DecoderOptions)tiny.Recipe.Model with { Dim = 32 },
        };

        var error = Assert.Throws<UserException>(() => tiny.Train("tuned"));

        Assert.Contains("it does not fit the model:", error.Message);
        Assert.Contains(" is [256, 16] in the file, [256, 32] here", error.Message);
    }

    [Fact]
    public void Weights_of_another_tokenizer_are_refused()
    {
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with { Initialize = new InitializeOptions { From = tiny.RunPath("base") },
            Tokenizer = new CharacterTokenizerOptions() };

        var error = Assert.Throws<UserException>(() => tiny.Train("tuned"));

        Assert.Contains("was trained with another tokenizer (byte, 256 tokens; here character, ", error.Message);
    }

    [Fact]
    public void Prompts_that_cannot_be_continued_are_found_before_the_first_step()
    {
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { Samples = ["the", "", "seventeen letters"] } };

        var error = Assert.Throws<ConfigurationException>(() => tiny.Train());

        Assert.Equal(["monitoring.samples.1", "monitoring.samples.2"], error.Problems.Select(problem => problem.Path));
        Assert.StartsWith("the prompt has 17 tokens, but the model's context holds 16; ", error.Problems[1].Message);
        Assert.Empty(tiny.Store().Steps);
    }

    [Fact]
    public void A_resume_that_is_refused_leaves_the_files_of_the_run_as_they_were()
    {
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { TensorBoard = true } };
        tiny.Train(until: 7);
        Directory.Delete(tiny.Store().DirectoryOf(7), recursive: true); // steps 6 and 7 are recorded, and would be again
        Dictionary<string, string> before = Files();
        Assert.Contains(before.Keys, name => name.Contains("tfevents", StringComparison.Ordinal));
        tiny.Recipe = tiny.Recipe with
        {
            Evaluation = tiny.Recipe.Evaluation with { Measures = [new ScheduledPasskeyOptions { Lengths = [100] }] },
        };

        var error = Assert.Throws<ConfigurationException>(() => tiny.Train(resume: true));

        Assert.Equal(["evaluation.measures.0.lengths"], error.Problems.Select(problem => problem.Path));
        Assert.Equal(before, Files());

        Dictionary<string, string> Files() => Directory.EnumerateFiles(tiny.RunPath()).ToDictionary(
            path => Path.GetFileName(path), path => Convert.ToHexString(File.ReadAllBytes(path)));
    }

    [Fact]
    public void A_text_shorter_than_the_context_is_an_error()
    {
        File.WriteAllText(tiny.TextPath, "short text");

        Assert.Contains("16", Assert.Throws<UserException>(() => tiny.Train()).Message);
    }

    [Fact]
    public void A_run_directory_belongs_to_one_process_at_a_time()
    {
        using RunDirectory held = RunDirectory.Open(tiny.RunPath(), resume: false);

        var error = Assert.Throws<UserException>(() => tiny.Train());

        Assert.Equal($"{tiny.RunPath()}: another process is training in this run directory; wait for it to end, or use --run and " +
            "another directory", error.Message);
    }

    [Fact]
    public void Cuda_without_a_GPU_is_an_error_that_says_what_to_do()
    {
        if (cuda.is_available()) Assert.Skip("there is a GPU");
        var error = Assert.Throws<UserException>(() => DeviceSelection.Choose(DeviceChoice.Cuda));
        Assert.StartsWith("device 'cuda' is asked for, but libtorch ", error.Message);
        Assert.Equal(CPU, DeviceSelection.Choose(DeviceChoice.Auto));
    }

    [Fact]
    public void Live_tensors_are_back_where_they_were_after_a_run()
    {
        using LanguageModel model = tiny.Recipe.Model.Build(tiny.Prepare().Tokenizer.VocabularySize);
        int parameters = model.parameters().Count();
        tiny.Train("warm");
        Finalizers.Run();
        long live = LiveTensors.Count();
        tiny.Train("again");

        // TorchSharp counts a tensor that a parameter took over for ever.
        Assert.Equal(live + parameters, LiveTensors.Count());
    }

    private static bool IgnoresHangups() => File.Exists("/proc/self/status") && File.ReadLines("/proc/self/status").Any(
        line => line.StartsWith("SigIgn:", StringComparison.Ordinal) && Convert.ToUInt64(line["SigIgn:".Length..].Trim(), 16) % 2 == 1);
}
