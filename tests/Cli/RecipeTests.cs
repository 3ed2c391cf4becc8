using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Training;

[assembly: AssemblyFixture(typeof(Trainer.Cli.Tests.RecipeDatasets))]

namespace Trainer.Cli.Tests;

/// <summary>Every second file in configs/, beside <see cref="OtherRecipeTests"/>: tests of one class run one after the other.</summary>
public sealed class RecipeTests(RecipeDatasets datasets) : RecipeRuns(datasets)
{
    public static TheoryData<string> Recipes => Half(0);

    [Theory]
    [MemberData(nameof(Recipes))]
    public void A_recipe_trains_resumes_and_generates(string recipe) => TrainResumeAndGenerate(recipe);

    [Fact]
    public void Editors_find_the_schema_that_the_build_wrote()
    {
        var folder = Path.Combine(Command.Repository, "configs");
        var options = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip };
        foreach (var recipe in All)
        {
            using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, recipe)), options);
            var schema = document.RootElement.GetProperty("$schema").GetString()!;
            Assert.True(
                File.Exists(Path.Combine(folder, schema)), $"{recipe}: {schema} is not in configs/; the build of Trainer.csproj writes it.");
        }
    }
}

/// <summary>The other files in configs/.</summary>
public sealed class OtherRecipeTests(RecipeDatasets datasets) : RecipeRuns(datasets)
{
    public static TheoryData<string> Recipes => Half(1);

    [Theory]
    [MemberData(nameof(Recipes))]
    public void A_recipe_trains_resumes_and_generates(string recipe) => TrainResumeAndGenerate(recipe);
}

/// <summary>Recipes through the real command line, a few steps each.</summary>
public abstract class RecipeRuns(RecipeDatasets datasets)
{
    /// <summary>Recipes in the order of their names.</summary>
    internal static IReadOnlyList<string> All { get; } =
        [.. Directory.EnumerateFiles(Path.Combine(Command.Repository, "configs"), "*.json")
            .Where(path => !path.EndsWith(".schema.json", StringComparison.Ordinal)).Select(path => Path.GetFileName(path)!).Order()];

    /// <summary>What a model of a recipe continues: symbols of its task, or else words.</summary>
    private static readonly Dictionary<string, string> Prompts = new()
    {
        ["addition.json"] = "12+34=",
        ["addition-grpo.json"] = "12+34=",
        ["associative-recall.json"] = "a3d5|d",
        ["copy.json"] = "abc|",
        ["selective-copy.json"] = "..a....b|",
        ["needle.json"] = "The pass key is 1234. What is the pass key? ",
    };

    /// <summary>Every second recipe.</summary>
    protected static TheoryData<string> Half(int which) => [.. All.Where((_, index) => index % 2 == which)];

    /// <summary>Runs one.</summary>
    protected void TrainResumeAndGenerate(string recipe)
    {
        using var workspace = new Workspace();
        Directory.CreateSymbolicLink(workspace.PathOf("datasets"), datasets.Folder);
        File.WriteAllText(workspace.PathOf("text.txt"), Workspace.Words(4000).Replace(" and ", "\n", StringComparison.Ordinal));
        var config = Path.Combine(Command.Repository, "configs", recipe);
        var resolved = Resolve(config);
        // Where its model begins with that of another recipe, which is trained first.
        if ((string?)resolved["initialize"]?["from"] is { } from)
        {
            var before = Path.Combine(Command.Repository, "configs", $"{Path.GetFileName(from)}.json");
            Succeeds(workspace.Run(["train", before, .. Settings(from, Resolve(before)), "training.steps=2"]));
        }
        var settings = Settings("run", resolved);

        Succeeds(workspace.RunAlone(["train", config, .. settings, "training.steps=2"]));
        Succeeds(workspace.Run(["train", config, "--resume", .. settings, "training.steps=4"]));
        Assert.Equal("step-00000004", File.ReadAllText(workspace.PathOf("run/checkpoints/last")).Trim());

        var architecture = (string)resolved["model"]!["architecture"]!;
        if (architecture == "encoder" || resolved["model"]!["input"] is not null)
            return;   // it guesses hidden tokens, tells classes or forecasts, and writes nothing
        var prompt = Prompts.GetValueOrDefault(recipe, "the ");
        var generated = workspace.Run("generate", "run", "--prompt", prompt, "--tokens", "5");
        Succeeds(generated);
        if (architecture == "decoder")
            Assert.StartsWith(prompt, generated.Output, StringComparison.Ordinal);
    }

    private static string[] Settings(string run, JsonNode resolved)
    {
        var source = resolved["data"]!["train"]![0]!;
        string[] data = source["path"] is null ? [] : ["data.train.0.path=text.txt"];
        string[] examples = (string?)source["format"] == "dotnet-docs-preferences" ? ["data.train.0.examples=20"] : [];
        string[] answers = resolved["reinforcement"] is null ? [] : ["reinforcement.group=2"];
        // learned in a second
        string[] tokenizer = (string?)resolved["tokenizer"]?["type"] == "bpe" ? ["tokenizer.vocabularySize=300"] : [];
        return ["--run", run, "--set", "training.batchSize=2", "training.microBatchSize=1", "evaluation.batches=2", "evaluation.every=2",
            "checkpoint.every=2", .. data, .. examples, .. answers, .. tokenizer];
    }

    private static JsonNode Resolve(string config) =>
        JsonNode.Parse(ConfigurationJson.Serialize(ConfigurationLoader.Load<Recipe>(config, []).Value))!;

    private static void Succeeds(Outcome outcome) => Assert.True(outcome.ExitCode == 0, $"exit code {outcome.ExitCode}: {outcome.Error}");
}

/// <summary>Prepared data of all recipes: many read the same texts, which take seconds to collect.</summary>
public sealed class RecipeDatasets : IDisposable
{
    /// <summary>Where it is.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("trainer-datasets-").FullName;

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
