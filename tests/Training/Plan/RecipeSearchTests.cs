using System.Diagnostics;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;

namespace Trainer.Training.Tests.Plan;

public sealed class RecipeSearchTests : IDisposable
{
    private readonly TinyRun tiny = new(characters: 30_000);

    private string Datasets => Path.Combine(tiny.Root, "datasets");

    [Fact]
    public void A_recipe_for_a_time_trains_in_about_that_time_and_does_not_read_a_text_for_ever()
    {
        RecipePlan plan = Find(new() { Data = tiny.TextPath, Time = TimeSpan.FromSeconds(6), Measuring = TimeSpan.FromSeconds(0.6) });

        Recipe recipe = ConfigurationJson.Deserialize<Recipe>(plan.Text, "planned");
        Assert.Equal("text", recipe.Name);
        Assert.InRange(plan.Epochs, 1, 40);
        Assert.Equal(plan.Steps, recipe.Training.Steps);
        Assert.Equal(plan.Tokens, plan.Steps * recipe.Training.BatchSize * recipe.Model.ContextLength);
        Assert.InRange(plan.Seconds, 0.5, 6.5);
        Assert.Contains(plan.Reasons, reason => reason.Contains("tokens a parameter", StringComparison.Ordinal));

        tiny.Recipe = recipe;
        Stopwatch clock = Stopwatch.StartNew();
        Assert.Equal(TrainingOutcome.Completed, tiny.Train().Outcome);
        // The bound is wide, as tests of other rooms run beside this one; benchmarks/plan.py has a narrow one.
        Assert.InRange(clock.Elapsed.TotalSeconds, plan.Seconds / 5, 5 * plan.Seconds);
    }

    [Theory]
    [InlineData(1, 60_000, false)]
    [InlineData(2, 30_000, true)] // 20 tokens a parameter would be 300 epochs
    public void A_depth_decides_everything_else(int depth, int characters, bool isShort)
    {
        using TinyRun text = new(characters);
        RecipePlan plan = Find(new() { Data = text.TextPath, Depth = depth, Measuring = TimeSpan.FromSeconds(0.5) });

        Recipe recipe = ConfigurationJson.Deserialize<Recipe>(plan.Text, "planned");
        ModelOptions model = recipe.Model;
        Assert.Equal((depth, 64 * depth, depth, 256), (model.Layers, model.Dim, model.Attention.Heads, model.ContextLength));
        int stepTokens = recipe.Training.BatchSize * model.ContextLength;
        double tokens = isShort ? 40 * plan.Tokens / plan.Epochs : 20.0 * plan.Parameters;
        Assert.InRange(plan.Tokens, tokens - stepTokens, tokens + 1); // whole steps
        MuonOptions muon = Assert.IsType<MuonOptions>(recipe.Optimizer);
        // 1.5e-2 and 2e-3, by the root of 2,048 tokens to 4,096.
        Assert.Equal((2048, 0.011, 0.0014), (stepTokens, muon.LearningRate, muon.Adamw!.LearningRate));
        Assert.True(plan.Seconds > 0);
    }

    [Fact]
    public void Neither_or_both_of_time_and_depth_and_depths_out_of_range_are_refused()
    {
        Assert.Contains("give --time", Refused(new() { Data = "x" }));
        Assert.Contains("give --time", Refused(new() { Data = "x", Depth = 2, Time = TimeSpan.FromSeconds(1) }));
        Assert.Contains("--depth: is 33; a model has 1 to 32 layers here", Refused(new() { Data = "x", Depth = 33 }));
    }

    [Fact]
    public void A_text_that_is_missing_is_named_as_it_was_given() =>
        Assert.StartsWith(
            "--data: there is no file \"gone.txt\"",
            Assert.Throws<UserException>(() => Find(new() { Data = "gone.txt", Depth = 1 })).Message);

    [Fact]
    public void A_file_that_is_there_is_not_overwritten()
    {
        string path = Path.Combine(tiny.Root, "recipe.json");
        RecipePlan plan = new(new JsonObject { ["name"] = "x" }, 1, 1, 1, 1, 1, null, 1, []);
        plan.Save(path);

        Assert.Contains("there is such a file already", Assert.Throws<UserException>(() => plan.Save(path)).Message);
    }

    [Fact]
    public void Every_depth_is_a_whole_recipe_that_grows()
    {
        RecipeTemplate[] templates = [.. Enumerable.Range(1, RecipeTemplate.MostDepth).Select(depth => new RecipeTemplate
        {
            Depth = depth, Name = "x", Source = new() { ["path"] = "x.txt" }, Tokens = 1e6 * Math.Pow(depth, 3),
        })];

        long[] parameters = [.. templates.Select(template => template.Cost(256).Parameters)];

        Assert.Equal(parameters.Order(), parameters);
        Assert.All(templates, template => Assert.Equal(template.Depth, template.Build().Model.Layers));
        Assert.All(templates, template => Assert.InRange(template.StepTokens, 2048, 1 << 19));
    }

    [Theory]
    [InlineData(2, 1e6, 2048, 488)]
    [InlineData(2, 8.2e6, 2048, 4003)]
    [InlineData(2, 16.3e6, 2048, 7958)]
    [InlineData(2, 16.4e6, 4096, 4003)]
    [InlineData(20, 10e9, 1 << 19, 19_073)]
    public void A_run_has_4000_to_8000_steps_unless_they_would_be_very_small_or_large(
        int depth, double tokens, int stepTokens, long steps)
    {
        RecipeTemplate template = new() { Depth = depth, Name = "x", Source = new() { ["path"] = "x.txt" }, Tokens = tokens };

        Assert.Equal((stepTokens, steps), (template.StepTokens, template.StepCount));
    }

    [Theory]
    [InlineData(4, 5, 0)]
    [InlineData(11, 0.4, 0)]
    [InlineData(11, 2, 0.1)]
    [InlineData(11, 5, 0.2)]
    public void Dropout_is_for_models_with_room_for_a_text_that_they_read_again_and_again(double epochs, double perToken, double dropout)
    {
        RecipeTemplate template = new()
        {
            Depth = 2, Name = "x", Source = new() { ["path"] = "x.txt" }, Tokens = 1e6, Epochs = epochs, ParametersPerToken = perToken,
        };

        Assert.Equal(dropout, template.Build().Model.Dropout);
    }

    public void Dispose() => tiny.Dispose();

    private RecipePlan Find(RecipeGoal goal) => RecipeSearch.Find(goal, Datasets, new Progress<string>());

    private string Refused(RecipeGoal goal) => Assert.Throws<ConfigurationException>(() => Find(goal)).Message;
}
