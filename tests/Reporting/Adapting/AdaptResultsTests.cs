using Trainer.Reporting.Adapting;
using Trainer.Tests;

namespace Trainer.Reporting.Tests.Adapting;

public sealed class AdaptResultsTests
{
    [Fact]
    public void The_front_is_what_nothing_beats_in_everything()
    {
        var results = Results(Point("a", 2.0, 100, 50), Point("b", 2.1, 100, 50), Point("c", 2.1, 50, 50), Point("d", 2.2, 100, 60),
            Point("e", 2.2, 50, 50)).WithFront();
        Assert.Equal(["a", "c", "d"], results.Points.Where(point => point.IsOnFront).Select(point => point.Name));
    }

    [Theory]
    [InlineData(100, 0.05, "a")]
    [InlineData(60, 0.05, "b")]
    [InlineData(100, 0.001, "a")]
    [InlineData(60, 0.001, null)]
    [InlineData(10, 1, null)]
    public void What_loses_least_within_the_budget_is_taken(double budget, double maxLoss, string? expected)
    {
        var results = Results(Point("c", 2.09, 60, 90), Point("b", 2.05, 60, 50), Point("a", 2.001, 100, 50)) with
        {
            Budget = budget, MaxLoss = maxLoss,
        };
        Assert.Equal(expected, results.Chosen?.Name);
    }

    [Fact]
    public void One_that_failed_is_neither_on_the_front_nor_taken()
    {
        var failed = Point("f", double.NaN, 1, 0) with { Error = "diverged" };
        var results = Results(failed, Point("a", 2.0, 100, 50)).WithFront();
        Assert.Equal(["a"], results.Points.Where(point => point.IsOnFront).Select(point => point.Name));
        Assert.Equal("a", results.Chosen!.Name);
    }

    [Fact]
    public void What_was_saved_is_read_back_and_damage_is_named()
    {
        using TemporaryDirectory folder = new();
        Assert.False(AdaptResults.IsIn(folder.Path));
        var results = Results(Point("a", 2.0, 100, 50), Point("f", double.NaN, 1, 0) with { Error = "diverged" });
        results.Save(folder.Path);
        Assert.Equal(results.ToJson(), AdaptResults.Load(folder.Path).ToJson());
        Assert.True(AdaptResults.IsIn(folder.Path));
        File.WriteAllText(System.IO.Path.Combine(folder.Path, AdaptResults.FileName), "{");
        Assert.Contains("adapt.json: it cannot be read", Assert.Throws<Configuration.UserException>(
            () => AdaptResults.Load(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_page_shows_one_that_failed_without_its_loss()
    {
        using TemporaryDirectory folder = new();
        string path = folder.File(AdaptPage.FileName);
        AdaptPage.Write(Results(Point("a", 2.0, 100, 50), Point("f", double.NaN, 1, 0) with { Error = "diverged" }), path);
        Assert.Contains("{\"name\":\"f\",\"cacheBytesPerToken\":1,", File.ReadAllText(path), StringComparison.Ordinal);
    }

    private static AdaptPoint Point(string name, double loss, double cache, double speed) =>
        new(name, loss, cache, speed) { Run = $"runs/{name}" };

    private static AdaptResults Results(params AdaptPoint[] points) => new()
    {
        Source = "runs/base", Sha256 = "0", Budget = 1000, Context = 64, MaxLoss = 1, Steps = 5, Original = Point("as it is", 2, 200, 40),
        Points = points,
    };
}
