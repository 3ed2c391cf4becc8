using Trainer.Configuration;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;

namespace Trainer.Reporting.Tests.Monitoring;

public class RunMonitorTests
{
    [Fact]
    public void Resumed_run_records_each_step_once_everywhere()
    {
        using var directory = new TemporaryDirectory();
        Report(directory.Path, new RunProgress(60), from: 10, to: 50);
        File.AppendAllText(directory.File("metrics.jsonl"), "{\"step\":60,\"lo");
        Report(directory.Path, new RunProgress(60, ResumedFrom: 30), from: 40, to: 60);

        Assert.Equal(
            [10, 20, 30, 40, 50, 60],
            File.ReadLines(directory.File("metrics.jsonl")).Select(line => int.Parse(line.Split(':', ',')[1])));
        Assert.Equal(
            [10, 20, 30, 40, 50, 60],
            EventFileReader.ReadDirectory(directory.Path).Where(point => point.Tag == "loss/train").Select(point => point.Step));
        Assert.Equal(2, Directory.GetFiles(directory.Path, "events.out.tfevents.*").Length);
        var log = File.ReadAllText(directory.File("log.txt"));
        Assert.Contains("Z  going on from step 30 of 60\n", log);
        Assert.Contains("Z  metrics.jsonl: 2 records from step 31 on removed; they are recorded again\n", log);
        Assert.Contains("Z  metrics.jsonl: 1 damaged line removed, as an interrupted write leaves behind\n", log);
    }

    [Fact]
    public void TensorBoard_shows_curves_texts_and_histograms()
    {
        using var directory = new TemporaryDirectory();
        using (var monitor = Open(new MonitoringOptions(), new RunProgress(60), directory.Path))
        {
            monitor.Configuration("{\n  \"seed\": 1\n}");
            monitor.Step(Records.Step(10) with { ModelFlopUtilisation = 0.4 });
            monitor.Evaluation(Records.Evaluation(10));
            monitor.Sample(10, "ROMEO:", " hark\n```");
            monitor.Sample(10, "JULIET:", " ay");
            monitor.Histogram("weights/embedding", HistogramSummary.FromValues([1, 2, float.NaN]), 10);
        }

        var points = EventFileReader.ReadDirectory(directory.Path);
        Assert.Equal(
            ["configuration", "_hparams_/session_start_info", "loss/train", "optimizer/learningRate", "optimizer/gradientNorm",
                "optimizer/skippedSteps", "speed/tokensPerSecond", "speed/stepSeconds",
                "speed/modelFlopUtilisation", "loss/validation", "loss/bestValidation", "perplexity/validation", "samples/1", "samples/2",
                "weights/embedding", "nonFinite/weights/embedding"],
            points.Select(point => point.Tag));
        Assert.Equal("    ROMEO: hark\n    ```", points[12].Value.Tensor.StringVal[0].ToStringUtf8());
    }

    [Fact]
    public void TensorBoard_can_be_left_out()
    {
        using var directory = new TemporaryDirectory();
        Open(new MonitoringOptions { TensorBoard = false }, new RunProgress(60), directory.Path).Dispose();

        Assert.Empty(Directory.GetFiles(directory.Path, "events.out.tfevents.*"));
    }

    [Fact]
    public void Samples_of_a_step_share_a_file_that_a_resumed_run_writes_anew()
    {
        using var directory = new TemporaryDirectory();
        for (var run = 0; run < 2; run++)
            using (var monitor = Open(new MonitoringOptions(), new RunProgress(60), directory.Path))
            {
                monitor.Sample(500, "A", " one");
                monitor.Sample(500, "B", " two");
            }

        var text = File.ReadAllText(directory.File("samples/step-00000500.txt"));
        Assert.StartsWith("A one\n\n---", text);
        Assert.EndsWith("---\n\nB two", text);
        Assert.Equal(2, text.Split("---\n\n").Length);
    }

    [Fact]
    public void Log_goes_on_after_a_half_written_line()
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("log.txt");
        File.WriteAllText(path, "2026-01-02 03:04:05.000Z  step 1");
        using (var log = new LogSink(path, new(2000), ManualTime.Start()))
        {
            log.Message("two\nlines");
            log.Evaluation(Records.Evaluation(250));
        }

        Assert.Equal(
            """
            2026-01-02 03:04:05.000Z  step 1
            2026-01-02 03:04:05.000Z  two
                                      lines
            2026-01-02 03:04:05.000Z  step   250/2,000  validation loss 1.9123  perplexity 6.77  best so far

            """,
            File.ReadAllText(path));
    }

    [Fact]
    public void File_that_cannot_be_opened_is_named()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory.File("log.txt"));

        var failure = Assert.Throws<UserException>(() => new LogSink(directory.File("log.txt"), new(10)));

        Assert.StartsWith($"{directory.File("log.txt")}: cannot be opened for writing: ", failure.Message);
    }

    [Fact]
    public void Full_disk_is_a_user_error_with_a_remedy()
    {
        if (!File.Exists("/dev/full"))
            Assert.Skip("needs /dev/full");
        using var sink = new AppendFile("/dev/full");

        var failure = Assert.Throws<UserException>(() => sink.Append("x"u8));

        Assert.StartsWith("/dev/full: cannot be written: ", failure.Message);
        Assert.EndsWith("Free some space and go on from the newest checkpoint with --resume.", failure.Message);
    }

    [Fact]
    public void Options_without_effect_are_refused()
    {
        Assert.Empty(new MonitoringOptions { HistogramEvery = 5, Samples = ["a"] }.Validate());
        Assert.Equal(
            [
                new Problem("histogramEvery",
                    "histogramEvery (5) has nowhere to write to while tensorBoard is false; set tensorBoard to true or histogramEvery " +
                    "to 0"),
                new Problem("samples.1", "a prompt must not be empty; give the model at least one character to go on from"),
            ],
            new MonitoringOptions { HistogramEvery = 5, TensorBoard = false, Samples = ["a", ""] }.Validate());
    }

    private static void Report(string directory, RunProgress run, int from, int to)
    {
        using var monitor = Open(new MonitoringOptions(), run, directory);
        for (var step = from; step <= to; step += 10)
            monitor.Step(Records.Step(step));
    }

    private static IMetricsSink Open(MonitoringOptions options, RunProgress run, string directory) =>
        RunMonitor.Open(options, run, directory, new PlainConsoleSink(TextWriter.Null, run));
}
