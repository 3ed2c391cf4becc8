using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>The verbs that only tell.</summary>
public sealed class ReportTests(TrainedModel trained)
{
    [Fact]
    public void Plan_counts_the_parameters_that_a_checkpoint_holds()
    {
        using var workspace = trained.Copy();
        var plan = Json(workspace.Run("plan", "small.json", "--json"));
        var contents = Json(workspace.Run("inspect", "run", "--json"));

        Assert.Equal(contents.GetProperty("parameters").GetInt64(), plan.GetProperty("parameters").GetInt64());
        Assert.Equal(2 * 2 * 2 * 8 * sizeof(float), plan.GetProperty("cacheBytesPerToken").GetInt64());
        Assert.Equal(40 * 4 * 32, plan.GetProperty("tokens").GetInt64());
        Assert.Equal(10, contents.GetProperty("training").GetProperty("step").GetInt64());
    }

    [Fact]
    public void The_same_seed_generates_the_same_text()
    {
        using var workspace = trained.Copy();
        string Text(params string[] more) => workspace.Run(["generate", "run", "--prompt", "the ", "--tokens", "60", .. more]).Output;

        Assert.Equal(Text("--seed", "3"), Text("--seed", "3"));
        Assert.NotEqual(Text("--seed", "3"), Text("--seed", "4"));
        Assert.Equal(Text("--greedy"), Text("--top-k", "1", "--seed", "4"));
        Assert.Equal("the ".Length + 60 + 1, Text("--seed", "3").Length);
    }

    [Fact]
    public void Doctor_names_libtorch_and_measures_products()
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run("doctor");
        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("libtorch", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("GFLOP/s", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("1 threads", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Doctor_and_the_log_of_a_run_name_the_version_and_the_folder_of_libtorch()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere it lies beside the program");
        Assert.SkipWhen(Environment.GetEnvironmentVariable("TRAINER_LIBTORCH") is { Length: > 0 }, "another one is taken");
        var folder = Path.Combine(AppContext.BaseDirectory, "libtorch");
        using var workspace = trained.Copy();
        var lines = workspace.Succeeds("doctor").Output.Split('\n');
        Assert.Contains(lines, line => line.StartsWith($"{"libtorch",-20} 2.10.0, with", StringComparison.Ordinal));
        Assert.Contains($"{"libtorch folder",-20} {folder}", lines);
        Assert.Contains(
            $"engine: libtorch 2.10.0 in {folder}, ", File.ReadAllText(workspace.PathOf("run/log.txt")), StringComparison.Ordinal);
    }

    [Fact]
    public void Schema_describes_every_section()
    {
        using var workspace = new Workspace();
        var properties = Json(workspace.Run("schema")).GetProperty("properties");
        foreach (var section in new[] { "name", "model", "tokenizer", "data", "training", "optimizer", "schedule", "evaluation",
            "checkpoint", "monitoring" })
            Assert.True(properties.TryGetProperty(section, out _), section);
    }

    private static JsonElement Json(Outcome outcome)
    {
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return JsonDocument.Parse(outcome.Output).RootElement;
    }
}
