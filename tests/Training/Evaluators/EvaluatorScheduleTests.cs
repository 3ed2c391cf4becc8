using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Evaluation;
using Trainer.Evaluation.Scheduled;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Evaluators;

public sealed class EvaluatorScheduleTests : IDisposable
{
    private readonly TinyRun tiny = new();

    /// <summary>Windows longer than the context, sliding ones, retrieval and samples: all that a decoder can be measured on.</summary>
    private static readonly IReadOnlyList<ScheduledEvaluatorOptions> All =
    [
        new ScheduledPerplexityOptions { Every = 3, Windows = [8, 16, 40], Stride = 4, Positions = 4 },
        new ScheduledAccuracyOptions { Every = 4, Batches = 2 },
        new ScheduledPasskeyOptions { Every = 6, Lengths = [20, 30], Trials = 2, Digits = 1, Depths = [0, 1], Introduction = "",
            Filler = ["mat "], Needle = "key {0} ", Question = "key " },
        new ScheduledSamplesOptions { Every = 5, Prompts = ["the "], Tokens = 8 },
    ];

    public void Dispose() => tiny.Dispose();

    // Dropout is on: one number drawn, or a model left in evaluation mode, would show in every later weight.
    [Fact]
    public void A_run_with_measures_equals_the_run_without_bit_for_bit()
    {
        tiny.Train("plain");
        Measure(All);
        tiny.Train("measured");

        foreach (long step in tiny.Store("plain").Steps)
            foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json"])
                Assert.Equal(Bytes("plain", step, file), Bytes("measured", step, file));
    }

    [Fact]
    public void Each_measure_is_taken_as_often_as_it_says_and_after_the_last_step()
    {
        Measure(All.Append(new ScheduledAccuracyOptions { Name = "with-evaluations" }).Append(
            new ScheduledAccuracyOptions { Name = "at-the-end", Every = 0 }));
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 11 } };
        RecordingSink sink = new();
        tiny.Train(sink: sink);

        long[] Steps(string name) => [.. sink.Measures.Where(metrics => metrics.Name == name).Select(metrics => metrics.Step)];
        Assert.Equal([3, 6, 9, 11], Steps("perplexity"));
        Assert.Equal([4, 8, 11], Steps("accuracy"));
        Assert.Equal([6, 11], Steps("passkey"));
        Assert.Equal([5, 10, 11], Steps("samples"));
        Assert.Equal([4, 8, 11], Steps("with-evaluations"));
        Assert.Equal([11], Steps("at-the-end"));
    }

    [Fact]
    public void A_resumed_run_tells_the_figures_of_one_that_was_not_interrupted()
    {
        Measure(All);
        tiny.Train("whole");
        using StopSignal stop = new();
        tiny.Train("stopped", sink: new RecordingSink { OnStep = metrics => { if (metrics.Step == 7) stop.Request(); } }, stop: stop);
        tiny.Train("stopped", resume: true);

        Assert.NotEmpty(Figures("whole"));
        Assert.Equal(Figures("whole"), Figures("stopped"));
        Assert.Equal(Texts("whole"), Texts("stopped"));
    }

    [Fact]
    public void The_figures_are_those_of_the_evaluator_that_evaluate_runs_on_the_checkpoint()
    {
        Measure(All);
        RecordingSink sink = new();
        tiny.Train(sink: sink);
        EvaluatorMetrics last = sink.Measures.Last(metrics => metrics.Name == "perplexity");
        using PreparedData data = tiny.Prepare();
        using LanguageModel model = Checkpoint.Open(Path.Combine(tiny.RunPath(), "checkpoints", "last")).LoadModel(CPU);

        foreach (int window in (int[])[8, 16, 40])
        {
            PerplexityReport report = new PerplexityEvaluator(model, data.Tokenizer).Evaluate(
                TokenText.Of(data.Validation), new() { Window = window, Stride = 4, Bins = 4 });
            double Figure(string name) => last.Figures.Single(figure => figure.Key == $"{name}/window{window}-stride4").Value;
            Assert.Equal((report.Perplexity, report.MeanLoss, report.BitsPerByte, report.Accuracy),
                (Figure("perplexity"), Figure("loss"), Figure("bitsPerByte"), Figure("accuracy")));
            Assert.Equal(report.ByPosition.Select(part => ((double?)part.To, part.Loss)),
                last.Figures.Where(figure => figure.Name == "lossByPosition" && figure.Condition == $"window{window}-stride4").Select(
                    figure => (figure.Place, figure.Value)));
        }
        Assert.Contains(last.Lines, line => line.Contains("(window 40, stride 4)", StringComparison.Ordinal));
    }

    [Fact]
    public void TensorBoard_and_the_metrics_file_have_every_figure_and_text()
    {
        Measure(All);
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { TensorBoard = true } };
        tiny.Train();

        var points = EventFileReader.ReadDirectory(tiny.RunPath()).Where(point => point.Step == 12).ToArray();
        using JsonDocument record = JsonDocument.Parse(File.ReadLines(Path.Combine(tiny.RunPath(), "metrics.jsonl"))
            .Last(line => line.StartsWith("{\"step\":12,\"evaluation\":\"perplexity\"", StringComparison.Ordinal)));
        var figures = record.RootElement.GetProperty("figures").EnumerateObject().ToDictionary(
            figure => figure.Name, figure => figure.Value.GetDouble());
        Assert.Equal(3 * (4 + 4), figures.Count);
        foreach (var (key, value) in figures)
            Assert.Equal((float)value, points.Single(point => point.Tag == $"evaluation/perplexity/{key}").Value.SimpleValue);
        Assert.Contains("evaluation/accuracy/accuracyInTop5", points.Select(point => point.Tag));
        Assert.Contains("evaluation/passkey/foundByDepth/length20/1", points.Select(point => point.Tag));
        Assert.StartsWith("    the ", points.Single(point => point.Tag == "evaluation/samples/1").Value.Tensor.StringVal[0].ToStringUtf8());
        Assert.StartsWith("the ", File.ReadAllText(Path.Combine(tiny.RunPath(), "samples", "step-00000005.txt")));
    }

    [Fact]
    public void A_model_that_says_nothing_leaves_a_gap_and_a_message_and_does_not_end_the_run()
    {
        Measure([new ScheduledPerplexityOptions(), new ScheduledAccuracyOptions()]);
        using PreparedData data = tiny.Prepare();
        using TrainState training = tiny.NewState(data);
        using (no_grad()) training.Model.parameters().First().fill_(float.NaN);
        RecordingSink sink = new();

        new EvaluatorSchedule(tiny.Recipe.Evaluation.Measures, TrainingSession.Subject(training, data, tiny.Recipe)).RunDue(
            step: 4, evaluating: true, last: false, sink);

        Assert.Empty(sink.Measures);
        Assert.Equal(["evaluation perplexity at step 4", "evaluation accuracy at step 4"],
            sink.Messages.Select(line => line.Split(": ")[0]));
        Assert.All(sink.Messages, line => Assert.Contains("the model's logits are not finite numbers", line));
        Assert.True(training.Model.training);
    }

    [Fact]
    public void What_tokenizer_and_texts_forbid_is_found_before_the_first_step()
    {
        Measure([
            new ScheduledPerplexityOptions { Beginning = "<s>" },
            new ScheduledPasskeyOptions { Lengths = [100] },
            new ScheduledSamplesOptions { Prompts = ["the ", "seventeen letters"] },
        ]);

        var error = Assert.Throws<ConfigurationException>(() => tiny.Train());

        Assert.Equal(["evaluation.measures.0.beginning", "evaluation.measures.1.lengths", "evaluation.measures.2.prompts.1"],
            error.Problems.Select(problem => problem.Path));
        Assert.Equal("\"<s>\" is no token of this tokenizer (byte): neither a name in its vocabulary nor an id from 0 to 255",
            error.Problems[0].Message);
        Assert.Equal("a passkey prompt of 100 tokens is too short: without any filler it has 246; ask for longer ones",
            error.Problems[1].Message);
        Assert.Empty(tiny.Store().Steps);
    }

    private void Measure(IEnumerable<ScheduledEvaluatorOptions> measures) =>
        tiny.Recipe = tiny.Recipe with { Evaluation = tiny.Recipe.Evaluation with { Measures = [.. measures] } };

    private byte[] Bytes(string run, long step, string file) => File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(step), file));

    /// <summary>The records of measures without their times.</summary>
    private string[] Figures(string run) => [.. File.ReadLines(Path.Combine(tiny.RunPath(run), "metrics.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(record => record.TryGetProperty("figures", out _))
        .Select(record => $"{record.GetProperty("step")} {record.GetProperty("evaluation")} {record.GetProperty("figures")}")];

    private string[] Texts(string run) =>
        [.. Directory.EnumerateFiles(Path.Combine(tiny.RunPath(run), "samples")).Order(StringComparer.Ordinal).Select(File.ReadAllText)];
}
