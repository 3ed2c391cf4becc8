using System.Text.Json.Nodes;

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

        // 2 layers, rank 2 on 32 inputs: 64 for A, 64 for B of queries and 32 for B of values.
        var plan = JsonNode.Parse(workspace.Succeeds("plan", "lora.json", "--json").Output)!;
        Assert.Equal(2 * (3 * 64 + 32), (long)plan["trainedParameters"]!);
        var inspected = workspace.Succeeds("inspect", "lora").Output;
        Assert.Contains("adapter on", inspected, StringComparison.Ordinal);
        Assert.Contains("parameters, of which 448 are trained and here", inspected, StringComparison.Ordinal);
        var contents = JsonNode.Parse(workspace.Succeeds("inspect", "lora", "--json").Output)!;
        Assert.Equal(
            ((long)plan["parameters"]!, 448), ((long)contents["parameters"]!, (long)contents["storedParameters"]!));
        workspace.Succeeds("report", "lora", "run", "--output", "report.html");
        var page = File.ReadAllText(workspace.PathOf("report.html"));
        Assert.Contains($"\"parameters\":{plan["parameters"]},\"trainedParameters\":448", page, StringComparison.Ordinal);
        var merged = workspace.Succeeds("convert", "lora", "--output", "merged", "--merge-adapter").Output;
        Assert.Contains("its adapter merged into run", merged, StringComparison.Ordinal);
        string Written(string checkpoint) =>
            workspace.Succeeds("generate", checkpoint, "--prompt", "the ", "--tokens", "20", "--greedy").Output;
        Assert.Equal(Written("merged"), Written("lora"));
    }

    [Fact]
    public void Where_the_base_has_moved_it_is_named()
    {
        using Workspace moved = new(workspace);
        File.WriteAllText(moved.PathOf("moved.json"), """
            { "extends": "small.json", "name": "moved", "initialize": { "from": "run" }, "adapter": { "type": "lora", "rank": 2 } }
            """);
        moved.Succeeds("train", "moved.json", "--run", "adapted", "--until", "2", "--set", "training.steps=4");
        string[] generate = ["generate", "adapted", "--prompt", "the ", "--tokens", "10", "--greedy"];
        var before = moved.Succeeds(generate).Output;
        Directory.Move(moved.PathOf("run"), moved.PathOf("elsewhere"));

        var gone = moved.Run(generate);
        Assert.Equal(1, gone.ExitCode);
        Assert.Contains("is not there; name the checkpoint whose model.safetensors has the SHA-256", gone.Error, StringComparison.Ordinal);
        Assert.Contains("by --base", gone.Error, StringComparison.Ordinal);
        Assert.Equal(before, moved.Succeeds([.. generate, "--base", "elsewhere"]).Output);
        moved.Succeeds("convert", "adapted", "--base", "elsewhere", "--output", "whole", "--merge-adapter");
        moved.Succeeds("train", "moved.json", "--run", "adapted", "--resume", "--set", "training.steps=4", "initialize.from=elsewhere");
        moved.Succeeds(generate); // its newest checkpoint knows the place

        var other = moved.Run([.. generate, "--base", "whole"]);
        Assert.Equal(1, other.ExitCode);
        Assert.Contains("and those in whole have", other.Error, StringComparison.Ordinal);
        var whole = moved.Run("generate", "elsewhere", "--prompt", "the ", "--base", "whole");
        Assert.Equal(2, whole.ExitCode);
        Assert.Contains("holds a whole model and no adapter", whole.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--adapter 'pirate' must be a name and a path, such as pirate=runs/pirate", "--adapter", "pirate")]
    [InlineData(2, "the name 'small' of run is that of the base, too", "--adapter", "small=run")]
    [InlineData(1, "nowhere", "--adapter", "pirate=nowhere")]
    [InlineData(1, "it holds a whole model and no adapter; serve it by itself", "--adapter", "pirate=run")]
    public void What_cannot_be_served_is_said(int exitCode, string message, params string[] arguments)
    {
        var outcome = workspace.Run(["serve", "run", "--port", "0", .. arguments]);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Adapters_are_served_over_one_base()
    {
        File.WriteAllText(workspace.PathOf("served.json"), """
            { "extends": "small.json", "name": "served", "initialize": { "from": "run" }, "adapter": { "type": "lora", "rank": 2 },
              "optimizer": { "type": "adamw", "learningRate": 0.05 } }
            """);
        workspace.Succeeds("train", "served.json", "--run", "served", "--set", "training.steps=5");
        using var process = workspace.Start("serve", "run", "--port", "0", "--adapter", "pirate=served", "--adapter", "legal=served");
        try
        {
            var line = await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
            Assert.StartsWith("serving small, pirate, legal at http://127.0.0.1:", line, StringComparison.Ordinal);
            using HttpClient client = new() { BaseAddress = new(line!.Split(' ')[^4].TrimEnd(';')) };
            foreach (var (model, checkpoint) in ((string, string)[])[("small", "run"), ("pirate", "served"), ("legal", "served")])
            {
                using var answer = await client.PostAsync("/v1/completions", new StringContent(
                    $$"""{"model": "{{model}}", "prompt": "the ", "max_tokens": 12, "temperature": 0}"""),
                    TestContext.Current.CancellationToken);
                var text = (string)JsonNode.Parse(
                    await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["choices"]![0]!["text"]!;
                var alone = workspace.Succeeds("generate", checkpoint, "--prompt", "the ", "--tokens", "12", "--greedy").Output;
                Assert.Equal(alone.Trim(), $"the {text}".Trim());
            }
        }
        finally
        {
            process.Kill();
        }
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
