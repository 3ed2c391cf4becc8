namespace Trainer.Cli.Tests;

/// <summary>Adapters as a user trains, uses, merges and hands them on.</summary>
public sealed class AdapterCommandTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void An_adapter_is_trained_resumed_used_and_merged()
    {
        File.WriteAllText(workspace.PathOf("lora.json"), """
            { "extends": "small.json", "name": "lora", "initialize": { "from": "run" },
              "adapter": { "type": "lora", "rank": 2, "dropout": 0.1, "targets": ["query", "value"] } }
            """);
        workspace.Succeeds("train", "lora.json", "--run", "lora", "--until", "2", "--set", "training.steps=4");
        var resumed = workspace.Succeeds("train", "lora.json", "--run", "lora", "--resume", "--set", "training.steps=4");
        Assert.Contains("of the parameters are trained, on run", resumed.Error + resumed.Output, StringComparison.Ordinal);

        Assert.Contains("adapter on", workspace.Succeeds("inspect", "lora").Output, StringComparison.Ordinal);
        var merged = workspace.Succeeds("convert", "lora", "--output", "merged", "--merge-adapter").Output;
        Assert.Contains("its adapter merged into run", merged, StringComparison.Ordinal);
        string Written(string checkpoint) =>
            workspace.Succeeds("generate", checkpoint, "--prompt", "the ", "--tokens", "20", "--greedy").Output;
        Assert.Equal(Written("merged"), Written("lora"));
    }

    [Fact]
    public void A_pattern_that_matches_nothing_is_a_mistake_of_the_recipe()
    {
        var outcome = workspace.Run(
            "plan", "small.json", "--set", "initialize.from=run", "adapter.type=lora", "adapter.targets.0=querry");
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains("adapter.targets.0: no linear layer is named \"querry\"; adapters can go to output, query,", outcome.Error,
            StringComparison.Ordinal);
    }
}
