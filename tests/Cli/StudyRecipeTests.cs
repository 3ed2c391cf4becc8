using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>The recipes in configs/studies/ through the real command line, a step or two each, one from the weights of another.</summary>
public sealed class StudyRecipeTests
{
    private static readonly string Folder = Path.Combine(Command.Repository, "configs", "studies");

    private static readonly string[] Tiny =
        ["training.steps=2", "training.batchSize=2", "model.dim=32", "model.layers=1", "monitoring.tensorBoard=false"];

    [Fact]
    public void Every_recipe_is_run_here() => Assert.Equal(
        [
            "grouped-query-base.json", "grouped-query-uptrain.json",
            "longer-context-base.json", "longer-context-direct.json", "longer-context-passkeys.json", "longer-context-pose.json",
            "longer-context-yarn.json",
        ],
        Directory.EnumerateFiles(Folder, "*.json").Select(Path.GetFileName).Order());

    [Fact]
    public void Uptraining_begins_with_pooled_heads()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("docs.txt"), Workspace.Words(4000));
        string[] data = ["data.train.0.format=text", "data.train.0.path=docs.txt"];
        Train(workspace, "grouped-query-base", "runs/studies/grouped-query/base", data);
        Train(workspace, "grouped-query-uptrain", "up", data);
        using var config = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("up/config.json")));
        var attention = config.RootElement.GetProperty("model").GetProperty("attention");
        Assert.Equal(("grouped-query", 2), (attention.GetProperty("type").GetString(), attention.GetProperty("keyValueHeads").GetInt32()));
    }

    [Fact]
    public void Longer_contexts_begin_with_the_weights_of_the_short_one()
    {
        using var workspace = new Workspace();
        Directory.CreateDirectory(workspace.PathOf("runs/studies/longer-context/data"));
        foreach (var name in new[] { "train.txt", "validation.txt" })
            File.WriteAllText(workspace.PathOf($"runs/studies/longer-context/data/{name}"), Workspace.Words(4000));
        foreach (var name in new[] { "passkeys.jsonl", "short-passkeys.jsonl" })
            File.WriteAllText(workspace.PathOf($"runs/studies/longer-context/data/{name}"), $$"""{"text": "{{Workspace.Words(4000)}}"}""" + "\n");
        Train(workspace, "longer-context-base", "runs/studies/longer-context/documents", []);
        Train(workspace, "longer-context-passkeys", "runs/studies/longer-context/base", []);
        foreach (var recipe in new[] { "direct", "yarn", "pose" }) Train(workspace, $"longer-context-{recipe}", recipe, []);

        // Two steps of two rows: of the target length, but for positions that skip.
        Assert.Equal((8192, 8192, 2048), (Tokens("direct"), Tokens("yarn"), Tokens("pose")));
        int Tokens(string run)
        {
            using var state = JsonDocument.Parse(File.ReadAllText(workspace.PathOf($"{run}/checkpoints/step-00000002/state.json")));
            return state.RootElement.GetProperty("tokens").GetInt32();
        }
    }

    private static void Train(Workspace workspace, string recipe, string run, string[] settings)
    {
        workspace.Succeeds(["train", Path.Combine(Folder, $"{recipe}.json"), "--run", run, "--set", .. Tiny, .. settings]);
    }
}
