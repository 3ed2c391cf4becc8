using System.Text.Json;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;

namespace Trainer.Reporting.Tests.Monitoring;

public class JsonLinesSinkTests
{
    [Fact]
    public void Lines_have_the_names_and_order_of_the_contract()
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("metrics.jsonl");
        using (var sink = new JsonLinesSink(path))
        {
            sink.Step(Records.Step(10) with { ModelFlopUtilisation = 0.25, PeakMemoryBytes = 1L << 30 });
            sink.Evaluation(Records.Evaluation(10, loss: 0));
        }

        Assert.Equal(
            """
            {"step":10,"tokens":7680,"loss":1.8312,"learningRate":0.00082,"gradientNorm":0.7431,"tokensPerSecond":13200,"stepSeconds":0.0582,"modelFlopUtilisation":0.25,"peakMemoryBytes":1073741824,"skippedSteps":0}
            {"step":10,"validationLoss":0,"perplexity":1,"evaluationSeconds":1.5}

            """,
            File.ReadAllText(path));
    }

    [Fact]
    public void Numbers_come_back_to_the_last_bit()
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("metrics.jsonl");
        var random = new Random(2);
        double[] losses = [double.Epsilon, double.MaxValue, 0.1 + 0.2, .. Enumerable.Range(0, 200)
            .Select(_ => random.NextDouble() * Math.Pow(10, random.Next(-20, 20)))];
        using (var sink = new JsonLinesSink(path))
            foreach (var loss in losses)
                sink.Step(Records.Step(1, loss));

        Assert.Equal(losses, File.ReadLines(path).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("loss").GetDouble()));
    }

    [Theory]
    [InlineData(double.NaN, "\"NaN\"")]
    [InlineData(double.PositiveInfinity, "\"Infinity\"")]
    [InlineData(double.NegativeInfinity, "\"-Infinity\"")]
    public void Non_finite_numbers_are_named_so_that_the_line_stays_JSON(double loss, string written)
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("metrics.jsonl");
        using (var sink = new JsonLinesSink(path))
            sink.Step(Records.Step(1, loss));

        Assert.Contains($"\"loss\":{written},", File.ReadAllText(path));
    }

    [Fact]
    public void Lines_are_on_the_file_before_the_sink_is_closed()
    {
        using var directory = new TemporaryDirectory();
        using var sink = new JsonLinesSink(directory.File("metrics.jsonl"));

        sink.Step(Records.Step(1));

        Assert.Single(File.ReadAllLines(directory.File("metrics.jsonl")));
    }
}
