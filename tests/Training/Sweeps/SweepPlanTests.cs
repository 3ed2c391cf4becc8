using Trainer.Configuration;
using Trainer.Training.Optimizers;
using Trainer.Training.Sweeps;

namespace Trainer.Training.Tests.Sweeps;

public sealed class SweepPlanTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly string file;

    public SweepPlanTests()
    {
        file = Path.Combine(tiny.Root, "tiny.json");
        File.WriteAllText(file, ConfigurationJson.Serialize(tiny.Recipe));
    }

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData("1,2", "1", "2")]
    [InlineData("[0.9,0.95],[0.8,0.99]", "[0.9,0.95]", "[0.8,0.99]")]
    [InlineData("""{"type":"linear","a":1},{"type":"constant"}""", """{"type":"linear","a":1}""", """{"type":"constant"}""")]
    [InlineData("\"a,b\", c", "\"a,b\"", "c")]
    [InlineData("""["a\",]",1]""", """["a\",]",1]""")]
    [InlineData("many", "many")]
    public void Values_are_split_at_the_commas_outside_of_json(string text, params string[] values) =>
        Assert.Equal(values, SweepSetting.Split(text));

    [Fact]
    public void A_grid_has_all_combinations_with_all_seeds()
    {
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,2e-3", "optimizer.betas=[0.9,0.95],[0.8,0.99]", "training.steps=6"], seeds: 2);

        Assert.Equal(["optimizer.learningRate", "optimizer.betas"], plan.Definition.Varied);
        Assert.Equal(
            ["1e-3 [0.9,0.95]", "1e-3 [0.8,0.99]", "2e-3 [0.9,0.95]", "2e-3 [0.8,0.99]"],
            plan.Definition.Configurations.Select(configuration => string.Join(' ', configuration.Values)));
        Assert.Equal(8, plan.Recipes.Count);
        Assert.Equal([7L, 8L], plan.Recipes.Take(2).Select(recipe => recipe.Seed));
        Assert.All(plan.Recipes, recipe => Assert.Equal(6, recipe.Training.Steps));
        Assert.Equal((2e-3, 0.8), (plan.Recipes[7].Optimizer.LearningRate, ((AdamWOptions)plan.Recipes[7].Optimizer).Betas[0]));
        Assert.Equal("001-learningRate-1e-3-betas-_0.9_0.95_-seed-7", plan.Definition.Runs[0].Name);
        Assert.Equal(Path.Combine("runs", "tiny-sweep"), plan.Directory);
    }

    [Fact]
    public void All_that_is_wrong_with_any_combination_is_told_at_once()
    {
        var error = Assert.Throws<ConfigurationException>(() => Plan(
            ["model.attention.heads=2,3", "optimizer.learningRate=1e-3,-1", "training.stepz=5"]));

        Assert.StartsWith($"{file}: nothing was started: 3 problems", error.Message);
        Assert.Contains("training.stepz: unknown key", error.Message);
        Assert.Contains("so with model.attention.heads=3, optimizer.learningRate=1e-3 and 1 more combinations", error.Message);
        Assert.Contains("so with model.attention.heads=2, optimizer.learningRate=-1 and 1 more combinations", error.Message);
    }

    [Theory]
    [InlineData("optimizer.learningRate=1e-4..1e-2", "a range has no end of values; give their number to --random")]
    [InlineData("optimizer.learningRate=1e-3,,2e-3", "has an empty value between two commas")]
    [InlineData("optimizer.learningRate=1e-3,1e-3", "1e-3 is there 2 times")]
    [InlineData("optimizer.learningRate=2..1", "the range 2..1 is empty")]
    [InlineData("optimizer.learningRate", "has no path and values")]
    [InlineData("seed=1,2", "--seeds 2 counts on from the recipe's seed")]
    public void A_setting_that_is_no_list_of_values_is_refused(string setting, string message) =>
        Assert.Contains(message, Assert.Throws<ConfigurationException>(() => Plan([setting], seeds: 2)).Message);

    [Fact]
    public void A_seed_that_draws_nothing_is_refused() =>
        Assert.Contains("it draws nothing without --random", Assert.Throws<ConfigurationException>(() =>
            SweepPlan.Create(new SweepRequest(file, ["training.steps=4,5"]) { DrawSeed = 3 })).Message);

    [Fact]
    public void Random_configurations_are_the_same_from_the_same_seed_and_lie_in_their_ranges()
    {
        string[] settings = ["optimizer.learningRate=1e-4..1e-2", "training.gradientClip=0.5..1.5", "schedule.warmupSteps=1..4"];
        SweepPlan plan = Plan(settings, random: 40);

        Assert.Equal(plan.Definition.Configurations.Select(c => string.Join(' ', c.Values)),
            Plan(settings, random: 40).Definition.Configurations.Select(c => string.Join(' ', c.Values)));
        Assert.All(plan.Recipes, recipe =>
        {
            Assert.InRange(recipe.Optimizer.LearningRate, 1e-4, 1e-2);
            Assert.InRange(recipe.Training.GradientClip, 0.5, 1.5);
        });
        Assert.Equal([1, 2, 3, 4], plan.Recipes.Select(recipe => recipe.Schedule.WarmupSteps).Distinct().Order());
        // Half of them in each decade, and half on each side of 1.
        Assert.InRange(plan.Recipes.Count(recipe => recipe.Optimizer.LearningRate < 1e-3), 10, 30);
        Assert.InRange(plan.Recipes.Count(recipe => recipe.Training.GradientClip < 1), 10, 30);
    }

    [Fact]
    public void More_random_configurations_than_there_are_cannot_be_drawn()
    {
        string[] settings = ["training.gradientClip=1,2", "schedule.warmupSteps=1,2"];
        Assert.Contains("5 configurations, and there are 4 different ones",
            Assert.Throws<ConfigurationException>(() => Plan(settings, random: 5)).Message);
    }

    [Fact]
    public void Rungs_of_halving_are_at_evaluations()
    {
        string rates = string.Join(',', Enumerable.Range(1, 9).Select(rate => $"{rate}e-3"));
        SweepPlan plan = Plan([$"optimizer.learningRate={rates}", "training.steps=100", "evaluation.every=4"], halving: 3);
        Assert.Equal([8L, 32L], plan.Definition.Rungs);
        Assert.Equal([3, 1, 1], [SuccessiveHalving.Kept(9, 3), SuccessiveHalving.Kept(3, 3), SuccessiveHalving.Kept(2, 3)]);
    }

    [Theory]
    [InlineData("the first rung of --halving 2 is at step 6 of 12, before the first evaluation (every is 7)", "evaluation.every=7",
        "optimizer.learningRate=1e-3,2e-3")]
    [InlineData("of 1 configurations not even one is 1/2", "optimizer.learningRate=1e-3")]
    [InlineData("training.steps: configurations are compared at the same steps", "training.steps=8,12")]
    public void Halving_that_cannot_compare_is_refused(string message, params string[] settings) =>
        Assert.Contains(message, Assert.Throws<ConfigurationException>(() => Plan(settings, halving: 2)).Message);

    private SweepPlan Plan(string[] settings, int seeds = 1, int? random = null, int? halving = null) =>
        SweepPlan.Create(new SweepRequest(file, settings) { Seeds = seeds, Random = random, Halving = halving });
}
