using Trainer.Reporting.Runs;

namespace Trainer.Reporting.Tests.Runs;

public sealed class MetricsReaderTests : IDisposable
{
    private readonly RunFolder folder = new();
    private readonly List<string> warnings = [];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Time_adds_up_steps_and_evaluations_however_often_steps_are_recorded()
    {
        var metrics = Read(RunFolder.Step(10), RunFolder.Evaluation(10, 2), RunFolder.Step(20), RunFolder.Evaluation(20, 1.5));

        Assert.Equal([5.0, 12.0], metrics.Steps.Select(step => step.Seconds!.Value));
        Assert.Equal([7.0, 14.0], metrics.Evaluations.Select(evaluation => evaluation.Seconds!.Value));
        Assert.Equal((20, 1.5), (metrics.Best!.Step, metrics.Best.Loss));
        Assert.Empty(warnings);
    }

    [Fact]
    public void Measures_are_taken_apart_into_curves_and_profiles_and_take_their_time()
    {
        var metrics = Read(
            RunFolder.Step(10), RunFolder.Evaluation(10, 2),
            RunFolder.Measure(10, "perplexity",
                "\"loss/window8-stride4\":2.5,\"lossByPosition/window8-stride4/4\":3,\"lossByPosition/window8-stride4/8\":2"),
            RunFolder.Step(20), RunFolder.Measure(20, "perplexity", "\"loss/window8-stride4\":\"NaN\""),
                RunFolder.Measure(20, "bleu", "\"bleu\":7"));

        Assert.Equal([5.0, 13.0], metrics.Steps.Select(step => step.Seconds!.Value));
        Assert.Equal([8.0, 14.0, 15.0], metrics.Measures.Select(measure => measure.Seconds!.Value));
        var curves = EvaluatorCurves.Curves(metrics);
        Assert.Equal([("perplexity", "loss", "window8-stride4"), ("bleu", "bleu", null)],
            curves.Select(curve => (curve.Measure, curve.Figure, curve.Condition)));
        Assert.Equal([2.5, null], curves[0].Values);
        Assert.Equal([640.0, 1280.0], curves[0].Tokens.Select(tokens => tokens!.Value));
        var profile = Assert.Single(EvaluatorCurves.Profiles(metrics));
        Assert.Equal((10L, "lossByPosition", "window8-stride4"), (profile.Step, profile.Figure, profile.Condition));
        Assert.Equal([4.0, 8.0], profile.Places);
        Assert.Equal([3.0, 2.0], profile.Values.Select(value => value!.Value));
        Assert.Empty(warnings);
    }

    [Fact]
    public void Damaged_lines_are_named_and_left_out()
    {
        var metrics = Read(RunFolder.Step(1), "{\"step\":2,\"lo", "[1]", "{\"loss\":1}", "{\"step\":3,\"loss\":\"much\"}", "",
            RunFolder.Step(4));

        Assert.Equal([1L, 4L], metrics.Steps.Select(step => step.Step));
        Assert.Equal(4, warnings.Count);
        Assert.Contains("metrics.jsonl, line 2: it is damaged and left out", warnings[0], StringComparison.Ordinal);
        Assert.Contains("line 3: it is damaged and left out (it is no JSON object)", warnings[1], StringComparison.Ordinal);
        Assert.Contains("line 4: it is damaged and left out (it has no \"step\")", warnings[2], StringComparison.Ordinal);
        Assert.Contains("line 5: it is damaged and left out (\"loss\" is \"much\", which is no number)", warnings[3],
            StringComparison.Ordinal);
    }

    [Fact]
    public void Steps_recorded_again_count_as_recorded_last()
    {
        var metrics = Read(RunFolder.Step(1), RunFolder.Step(2), RunFolder.Step(3), RunFolder.Step(2, "9"), RunFolder.Evaluation(2, 3),
            RunFolder.Evaluation(2, 4));

        Assert.Equal([1L, 2L], metrics.Steps.Select(step => step.Step));
        Assert.Equal(9, metrics.Steps[^1].Loss);
        Assert.Equal(4, Assert.Single(metrics.Evaluations).Loss);
    }

    [Fact]
    public void Losses_that_are_not_finite_are_kept_and_never_the_best()
    {
        var metrics = Read(RunFolder.Step(1, "\"NaN\""), RunFolder.Step(2, "\"-Infinity\""), "{\"step\":2,\"validationLoss\":\"NaN\"}",
            RunFolder.Evaluation(4, 2));

        Assert.Equal([double.NaN, double.NegativeInfinity], metrics.Steps.Select(step => step.Loss!.Value));
        Assert.Equal(4, metrics.Best!.Step);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5, 320)]
    [InlineData(10, 640)]
    [InlineData(15, 960)]
    [InlineData(20, 1280)]
    [InlineData(25, 1600)]
    public void Tokens_between_records_are_in_proportion(int step, double tokens) =>
        Assert.Equal(tokens, Read(RunFolder.Step(10), RunFolder.Step(20)).TokensAt(step));

    private RunMetrics Read(params string[] lines) =>
        new MetricsReader(Path.Combine(folder.Run("run", lines: lines), "metrics.jsonl"), warnings.Add).Read();
}
