using System.Diagnostics;
using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>branch, verify and sweep as a user runs them.</summary>
public sealed class ExperimentTests(TrainedModel trained)
{
    [Fact]
    public void Branch_goes_on_from_a_checkpoint_and_says_what_to_compare_with()
    {
        using var workspace = trained.Copy();
        var outcome = workspace.Succeeds("branch", "run", "--at", "10", "--set", "training.steps=12");
        Assert.StartsWith("run-step-10-steps-12: 12 steps", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("run has no evaluation after step 10 to compare with", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("branch of run at step 10", File.ReadAllText(workspace.PathOf("run-step-10-steps-12/log.txt")),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_exits_with_1_at_one_flipped_bit()
    {
        using var workspace = trained.Copy();
        var equal = workspace.Succeeds("verify", "run", "--steps", "0:10");
        Assert.StartsWith("run: steps 1 to 10 computed again, equal bit for bit", equal.Output, StringComparison.Ordinal);

        var weights = workspace.PathOf("run/checkpoints/step-00000010/model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        bytes[^2] ^= 1;
        File.WriteAllBytes(weights, bytes);
        var differs = workspace.Run("verify", "run", "--steps", "0:10");
        Assert.Equal(1, differs.ExitCode);
        Assert.Contains("step 10, model.safetensors: ", differs.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bad_grid_is_refused_before_the_first_run()
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run("sweep", "small.json", "--set", "model.attention.heads=4,3", "training.batchSize=4,5");
        Assert.Equal(2, outcome.ExitCode);
        Assert.StartsWith("small.json: nothing was started: ", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("model.attention.heads=3", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("training.batchSize=5", outcome.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(workspace.PathOf("runs")));
    }

    [Fact]
    public void A_killed_sweep_takes_its_two_jobs_with_it_and_goes_on_where_they_were()
    {
        using var workspace = new Workspace();
        string[] command =
            ["sweep", "small.json", "--set", "optimizer.learningRate=1e-3,3e-3", "training.steps=150", "--jobs", "2", "--json"];
        string[] runs = ["runs/small-sweep/001-learningRate-1e-3", "runs/small-sweep/002-learningRate-3e-3"];
        using (var sweep = workspace.Start(command))
        {
            Wait(() => runs.All(run => File.Exists(workspace.PathOf($"{run}/checkpoints/last"))));
            sweep.Kill(); // it alone, as kill -9 would
            sweep.WaitForExit();
        }

        var results = JsonDocument.Parse(workspace.RunAlone(command).Output).RootElement.GetProperty("rows");

        Assert.All(results.EnumerateArray(), row => Assert.True(row.GetProperty("isComplete").GetBoolean()));
        Assert.Contains(runs, run => File.ReadAllText(workspace.PathOf($"{run}/log.txt"))
            .Contains("going on from step ", StringComparison.Ordinal));
        workspace.Succeeds("train", "small.json", "--run", "plain", "--set", "optimizer.learningRate=3e-3", "training.steps=150");
        Assert.Equal(workspace.Losses("plain"), workspace.Losses(runs[1]));

        var report = workspace.Succeeds("report", "runs/small-sweep", "--output", "sweep.html");
        Assert.StartsWith("sweep.html: 2 runs, ", report.Output, StringComparison.Ordinal);
        var page = File.ReadAllText(workspace.PathOf("sweep.html"));
        Assert.All(runs, run => Assert.Contains(Path.GetFileName(run), page, StringComparison.Ordinal));
    }

    private static void Wait(Func<bool> isSo)
    {
        var clock = Stopwatch.StartNew();
        while (!isSo() && clock.Elapsed < TimeSpan.FromMinutes(2)) Thread.Sleep(20);
        Assert.True(isSo());
    }
}
