using System.Text.Json;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Models;
using Trainer.Training.Losses;
using Trainer.Training.Profiling;
using Trainer.Training.Tests.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Profiling;

public sealed class StepProfilerTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(1, true)]
    public void The_parts_of_a_step_are_all_of_it_within_a_few_percent(int threads, bool checkpointing)
    {
        // Large enough for what is between the parts not to matter.
        tiny.Recipe = tiny.Recipe with
        {
            Model = tiny.Recipe.Model with { Dim = 64, Layers = 3, ContextLength = 64 },
            Training = tiny.Recipe.Training with { BatchSize = 32, MicroBatchSize = 16, ActivationCheckpointing = checkpointing },
        };
        Train(new(4, 9), threads: threads);

        JsonElement report = Report("step-4-9.json");

        double step = report.GetProperty("secondsPerStep").GetDouble();
        Dictionary<string, double> parts = report.GetProperty("parts").EnumerateArray().ToDictionary(
            part => part.GetProperty("name").GetString()!, part => part.GetProperty("seconds").GetDouble());
        Assert.Equal(threads, report.GetProperty("threads").GetInt32());
        Assert.Equal(step, parts.Values.Sum() + report.GetProperty("unaccountedSeconds").GetDouble(), step * 1e-9);
        Assert.InRange(parts.Values.Sum() / step, 0.95, 1);
        Assert.All(parts.Values, seconds => Assert.InRange(seconds, 0, step));
        foreach (string kind in (string[])["embedding", "norms", "attention", "feed-forward", "residual sums", "head and loss"])
            foreach (string pass in (string[])["forward", "backward"]) Assert.True(parts[$"{pass} {kind}"] > 0, $"{pass} {kind}");
        foreach (string part in (string[])["data", "optimizer", "logging", "evaluation", "checkpoint"]) Assert.True(parts[part] > 0, part);
        Assert.Equal(threads > 1, parts.ContainsKey("waiting for other threads"));
    }

    [Fact]
    public void The_trace_has_the_spans_of_every_thread_and_none_overlap()
    {
        Train(new(2, 3), threads: 2);
        JsonElement[] events = [.. Report("trace.json").GetProperty("traceEvents").EnumerateArray()];

        Assert.Equal(
            ["training", "worker 0", "worker 1"],
            events.Where(e => e.GetProperty("ph").GetString() == "M").Select(e => e.GetProperty("args").GetProperty("name").GetString()));
        JsonElement[] spans = [.. events.Where(e => e.GetProperty("ph").GetString() == "X")];
        Assert.Equal(["step 2", "step 3"], spans.Where(e => Text(e, "cat") == "step").Select(e => Text(e, "name")));
        Assert.Contains(spans, e => (Text(e, "name"), Text(e, "cat")) == ("blocks.1.mixer", "backward attention"));
        foreach (var lane in spans.Where(e => Text(e, "cat") != "step").GroupBy(e => e.GetProperty("tid").GetInt32()))
        {
            double end = 0;
            foreach (JsonElement span in lane.OrderBy(e => e.GetProperty("ts").GetDouble()))
            {
                Assert.True(span.GetProperty("ts").GetDouble() >= end - 1e-3, $"{Text(span, "name")} begins before {end} µs");
                end = span.GetProperty("ts").GetDouble() + span.GetProperty("dur").GetDouble();
            }
        }

        static string Text(JsonElement e, string name) => e.GetProperty(name).GetString()!;
    }

    [Fact]
    public void A_profiled_run_is_the_run_that_is_not_bit_for_bit()
    {
        RecordingSink plain = new(), profiled = new();
        tiny.Train("plain", sink: plain);
        Train(new(1, 12), profiled);
        Assert.Equal(plain.Steps.Select(step => (step.Loss, step.GradientNorm)), profiled.Steps.Select(step => (step.Loss, step.GradientNorm)));
        Assert.Contains(profiled.Messages, line => line.StartsWith("profile of steps 1 to 12: ") && line.Contains("\n  optimizer "));
    }

    [Fact]
    public void Steps_outside_of_the_range_are_not_begun()
    {
        StepProfiler profiler = new(new(20, 30), CPU, workers: 0);
        ProfileWriter writer = new(profiler, tiny.RunPath(), Assert.Fail);

        Assert.Null(writer.Begin(19));
        Assert.Null(writer.Begin(31));
        Assert.Same(profiler, writer.Begin(20));
        Assert.Same(profiler, writer.Begin(30));
    }

    [Fact]
    public void Without_a_profile_nothing_observes_the_model()
    {
        using TrainState state = tiny.NewState();
        using DisposeScope scope = NewDisposeScope();
        WatchedLoss loss = new();
        GradientComputation gradients = GradientComputation.Create(state.Model, CPU, null, loss);
        StepBatch batch = new([BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 1).Next(4)]);

        gradients.Compute(batch);
        gradients.Profiler = state.NewProfiler(new(1, 1));
        gradients.Compute(batch);

        Assert.Equal([false, true], loss.Observed);
    }

    [Fact]
    public void Waiting_for_gradients_of_other_processes_is_a_part_of_a_step()
    {
        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        ProfileReport[] reports = ThreadRanks.Run(2, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state)
            {
                StepProfiler profiler = state.NewProfiler(new(1, 2));
                state.Profiler = profiler;
                for (int step = 1; step <= 2; step++)
                {
                    profiler.BeginStep();
                    state.TakeStep(1e-3);
                    profiler.EndStep(step);
                }
                return ProfileReport.Of(profiler);
            }
        });

        Assert.All(reports, report => Assert.True(
            report.Parts.Single(part => part.Name == "waiting for gradients of other processes").Seconds > 0));
    }

    [Theory]
    [InlineData("20")]
    [InlineData("0:4")]
    [InlineData("7:6")]
    [InlineData("a:b")]
    public void What_is_no_range_is_refused(string text) =>
        Assert.Contains($"\"{text}\" is no range of steps", Assert.Throws<ConfigurationException>(() => ProfileRange.Parse(text)).Message);

    [Fact]
    public void Steps_that_are_not_to_be_taken_cannot_be_profiled() => Assert.Contains(
        "steps 10 to 13 are not all among those to be taken, 1 to 12",
        Assert.Throws<ConfigurationException>(() => Train(new(10, 13))).Message);

    private void Train(ProfileRange range, RecordingSink? sink = null, int threads = 1)
    {
        TrainingRequest request = new(tiny.Recipe, tiny.RunPath(), DatasetsDirectory: Path.Combine(tiny.Root, "datasets"))
        {
            Profile = range,
        };
        set_num_threads(threads);
        try
        {
            TrainingSession.Run(request, sink ?? new RecordingSink());
        }
        finally
        {
            set_num_threads(1); // as all tests here
        }
    }

    private JsonElement Report(string name) =>
        JsonDocument.Parse(File.ReadAllText(Path.Combine(tiny.RunPath(), "profile", name))).RootElement;

    /// <summary>Cross entropy that notes whether somebody observes the model.</summary>
    private sealed class WatchedLoss : LossFunction
    {
        public List<bool> Observed { get; } = [];

        public override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets)
        {
            Observed.Add(input.Observer is not null);
            return model.Losses(input, targets);
        }
    }
}
