namespace Trainer.Cli.Tests;

/// <summary><c>plan</c> as the writer of recipes.</summary>
public sealed class PlanRecipeTests
{
    [Fact]
    public void A_recipe_is_written_and_trains()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("my.txt"), Workspace.Words(4000));

        var planned = workspace.Succeeds("plan", "--data", "my.txt", "--time", "5s", "--memory", "2G", "--out", "my.json");

        Assert.Contains("tokens a parameter in the time", planned.Output, StringComparison.Ordinal);
        Assert.Contains("train it with  dotnet run -- train my.json", planned.Output, StringComparison.Ordinal);
        workspace.Succeeds("train", "my.json", "--set", "training.steps=2");
        BadInputTests.Fails(
            workspace.Run("plan", "--data", "my.txt", "--time", "5s", "--out", "my.json"), 1, "my.json: there is such a file already");
    }

    [Theory]
    [InlineData("Give a recipe to plan, or --data and --time")]
    [InlineData("--data is missing: which text is the recipe for?", "--time", "10m")]
    [InlineData("--time '10' is not allowed; give a number with a unit (s, m, h, d), such as 10m", "--data", "my.txt", "--time", "10")]
    [InlineData("--ranks is for a recipe that is there", "--data", "my.txt", "--time", "10m", "--ranks", "2")]
    [InlineData("A recipe is planned as it is", "small.json", "--data", "my.txt")]
    [InlineData("--set changes a recipe, and none is named", "--set", "training.steps=5")]
    [InlineData("monitoring.histogramEvery: ", "small.json", "--ranks", "2", "--set", "monitoring.histogramEvery=5",
        "training.shardOptimizer=true")]
    [InlineData("--step-time estimates the speed of several processes", "small.json", "--step-time", "300")]
    [InlineData("--bandwidth and --latency are for what --step-time estimates", "small.json", "--ranks", "2", "--bandwidth", "1")]
    public void What_makes_no_sense_is_refused(string message, params string[] arguments)
    {
        using var workspace = new Workspace();
        BadInputTests.Fails(workspace.Run(["plan", .. arguments]), 2, message);
    }
}
