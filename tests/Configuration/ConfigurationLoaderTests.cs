namespace Trainer.Configuration.Tests;

public sealed class ConfigurationLoaderTests : IDisposable
{
    private readonly Workspace workspace = new();

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Every_layer_is_laid_over_the_one_before()
    {
        workspace.Write("base/root.json", """{ "name": "root", "seed": 1, "training": { "steps": 10, "share": 0.5, "device": "cpu" } }""");
        workspace.Write("base.json", """{ "extends": "base/root.json", "training": { "steps": 20 } }""");
        workspace.Write("x.json", """
            {
                "$schema": "recipe.schema.json",
                "extends": "base.json", // comments and trailing commas are fine
                "training": { "steps": 30, "deterministic": false, },
            }
            """);
        var environment = new Dictionary<string, string> { ["TRAINER__TRAINING__STEPS"] = "40", ["trainer__seed"] = "7", ["TRAINER_HOME"] = "?" };

        var loaded = ConfigurationLoader.Load<SampleRecipe>(workspace.PathOf("x.json"), ["training.steps=50", "training.steps=60"], environment);

        Assert.Equal("root", loaded.Value.Name);
        Assert.Equal(7, loaded.Value.Seed);
        Assert.Equal(new SampleTraining { Steps = 60, Share = 0.5, Device = "cpu", Deterministic = false, Samples = loaded.Value.Training.Samples }, loaded.Value.Training);
        Assert.Equal([workspace.PathOf("base/root.json"), workspace.PathOf("base.json"), workspace.PathOf("x.json")], loaded.SourceFiles);
        Assert.Equal("from --set training.steps=60", loaded.Explain("training.steps"));
        Assert.Equal("from environment variable trainer__seed", loaded.Explain("seed"));
        Assert.Equal($"in {workspace.PathOf("x.json")}:4", loaded.Explain("training.deterministic"));
        Assert.Equal("by default", loaded.Explain("optimizer.learningRate"));
    }
}
