using Trainer.Configuration;
using Trainer.Training.Optimizers;
using Trainer.Training.Spikes;

namespace Trainer.Training.Tests.Spikes;

public sealed class StepReplayTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1, "from the run's beginning")]
    [InlineData(6, "step-00000005")]
    [InlineData(8, "step-00000005")]
    [InlineData(12, "step-00000010")]
    public void A_step_is_the_runs_own_bit_for_bit_and_the_run_is_only_read(long step, string from)
    {
        tiny.Recipe = tiny.Recipe with { Evaluation = tiny.Recipe.Evaluation with { Every = 3 } };
        tiny.Recipe = tiny.Recipe with { Checkpoint = new() { Every = 5, Keep = 100 } };
        RecordingSink sink = new();
        tiny.Train(sink: sink);
        foreach (long best in tiny.Store().Steps.Where(kept => kept % 5 != 0 && kept < 12))
            Directory.Delete(tiny.Store().DirectoryOf(best), recursive: true);
        var before = Files();

        (StepRecord record, List<string> messages) = Replay(step);

        Assert.Equal((sink.Steps[(int)step - 1].Loss, sink.Steps[(int)step - 1].GradientNorm), (record.Loss, record.GradientNorm));
        Assert.Equal(record.Loss, record.Rows.Average(row => row.Loss!.Value), 1e-5); // dropout among it
        Assert.Equal((step, null, null), (record.Step, record.Skipped, record.Spike));
        Assert.Contains(messages, message => message.Contains(from));
        Assert.All(record.Rows, row => Assert.Equal(tiny.TextPath, Assert.Single(row.Documents).Place!.Source));
        Assert.Equal(before, Files());
    }

    [Fact]
    public void A_step_that_is_not_finite_is_traced_to_the_first_layer_that_left_its_range()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Optimizer = new SgdOptions { LearningRate = 1e30 },
            Schedule = new ConstantSchedule(),
            Training = tiny.Recipe.Training with { Steps = 4 },
        };
        RecordingSink sink = new();
        tiny.Train(sink: sink);
        Assert.Equal([0, 1, 2, 3], sink.Steps.Select(step => step.SkippedSteps));

        (StepRecord record, _) = Replay(3);

        Assert.Equal(("not finite", "embedding", "forward", 16), (record.Skipped, record.OutOfRange!.Layer, record.OutOfRange.Pass,
            record.OutOfRange.Rows));
        string file = Path.Combine(tiny.RunPath(), "spikes", "step-00000003.json");
        StepRecord written = StepRecord.FromJson(File.ReadAllText(file));
        Assert.Equal(written.OutOfRange, record.OutOfRange);
        Assert.Equal(written.Layers, record.Layers);
        Assert.Equal(written.Parameters, record.Parameters);
    }

    [Fact]
    public void Lines_show_layers_and_documents_and_no_control_characters()
    {
        File.AppendAllText(tiny.TextPath, string.Concat(Enumerable.Repeat("\u001b\u0007", 300)));
        tiny.Train();
        string[] lines = [.. StepReplay.Run(Request(3), new Progress<string>()).Lines];
        Assert.Contains(lines, line => line.StartsWith("blocks.1.feedForward "));
        int parameters = Array.FindIndex(lines, line => line.StartsWith("parameter "));
        Assert.All(lines[(parameters + 1)..(parameters + 9)], line => Assert.Contains(".weight ", line));
        Assert.Matches(@"^and \d+ parameters with smaller gradients \(--json has them\)$", lines[parameters + 9]);
        Assert.Contains(lines, line => line.Contains($"{tiny.TextPath}, line 1 (16 tokens, loss "));
        Assert.DoesNotContain(string.Concat(lines), char.IsControl);
    }

    [Fact]
    public void A_step_beyond_the_run_is_refused()
    {
        tiny.Train();
        Assert.Equal(
            $"{tiny.RunPath()}: there is no step 13; its run has steps 1 to 12",
            Assert.Throws<UserException>(() => StepReplay.Run(Request(13), new Progress<string>())).Message);
    }

    private StepReplayRequest Request(long step) => new(tiny.RunPath(), step, Path.Combine(tiny.Root, "datasets"));

    private (StepRecord Record, List<string> Messages) Replay(long step)
    {
        List<string> messages = [];
        StepReport report = StepReplay.Run(Request(step), new Collected(messages));
        return (StepRecord.FromJson(report.Json), messages);
    }

    private SortedDictionary<string, DateTime> Files() => new(Directory.GetFiles(tiny.RunPath(), "*", SearchOption.AllDirectories).ToDictionary(
        file => file, File.GetLastWriteTimeUtc));

    private sealed class Collected(List<string> messages) : IProgress<string>
    {
        public void Report(string value) => messages.Add(value);
    }
}
