using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>Looking closely at steps: their time, and what layers made of them.</summary>
public sealed class ReplayTests
{
    [Fact]
    public void A_run_is_profiled_reported_and_replayed()
    {
        using var workspace = new Workspace { Threads = 2 };
        workspace.Succeeds("train", "small.json", "--run", "run", "--profile", "20:30", "--set", "training.spikes.window=20");
        Assert.Contains("profile of steps 20 to 30: ", File.ReadAllText(workspace.PathOf("run/log.txt")));
        Assert.Contains("\"traceEvents\"", File.ReadAllText(workspace.PathOf("run/profile/trace.json")));

        workspace.Succeeds("report", "run", "--output", "report.html");
        Assert.Contains("\"secondsPerStep\"", File.ReadAllText(workspace.PathOf("report.html")));

        var (loss, norm) = Recorded(workspace, step: 33);
        using var step = JsonDocument.Parse(workspace.Succeeds("replay", "run", "--step", "33", "--json").Output);
        Assert.Equal((loss, norm), (step.RootElement.GetProperty("loss").GetDouble(), step.RootElement.GetProperty("gradientNorm").GetDouble()));
        Assert.EndsWith("text.txt", step.RootElement.GetProperty("rows")[0].GetProperty("documents")[0].GetProperty("place")
            .GetProperty("source").GetString());

        var gradients = step.RootElement.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("gradient"));
        Assert.Equal(norm, Math.Sqrt(gradients.Sum(gradient => Math.Pow(gradient.GetProperty("norm").GetDouble(), 2))), 1e-5);

        var refused = workspace.Run("replay", "run", "--step", "41");
        Assert.Equal((1, "run: there is no step 41; its run has steps 1 to 40\n"), (refused.ExitCode, refused.Error));
        Assert.Equal(2, workspace.Run("train", "small.json", "--profile", "30:20").ExitCode);
    }

    private static (double Loss, double Norm) Recorded(Workspace workspace, long step) => File.ReadLines(workspace.PathOf("run/metrics.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(record => record.GetProperty("step").GetInt64() == step && record.TryGetProperty("loss", out _))
        .Select(record => (record.GetProperty("loss").GetDouble(), record.GetProperty("gradientNorm").GetDouble())).Single();
}
