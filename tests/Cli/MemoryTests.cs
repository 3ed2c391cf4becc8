using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Trainer.Cli.Tests;

/// <summary>What plan says a run takes against what the run says it took.</summary>
public sealed partial class MemoryTests
{
    // Large enough for what is counted to outweigh masks, tables and what the runtime compiles, up to 6 MiB; two threads, so that their own gradients count; steps enough for both
    // to be at their height at once, which on a busy machine they are not in every step.
    [Theory]
    [InlineData("training.microBatchSize=32")]
    [InlineData("training.microBatchSize=32", "training.activationCheckpointing=true")]
    [InlineData("training.microBatchSize=8", "model.layers=8")]
    [InlineData("training.microBatchSize=32", "training.precision=bfloat16")]
    [InlineData("training.microBatchSize=32", "training.precision=bfloat16", "model.feedForward.type=swiglu",
        "training.activationCheckpointing=true")]
    public void A_plan_is_within_a_tenth_of_the_run(params string[] settings)
    {
        using var workspace = new Workspace { Threads = 2 };
        string[] all =
        [
            "--set", "model.dropout=0", "model.dim=128", "model.contextLength=128", "training.batchSize=32", "training.steps=10",
            "schedule.warmupSteps=0", "evaluation.every=0", "evaluation.batches=1", "checkpoint.background=false",
            "monitoring.tensorBoard=false", "monitoring.samples=[]", .. settings,
        ];
        File.WriteAllText(workspace.PathOf("text.txt"), Workspace.Words(8000));
        var plan = workspace.RunAlone(["plan", "small.json", "--json", .. all]);
        var planned = JsonDocument.Parse(plan.Output).RootElement.GetProperty("peakBytes").GetInt64();
        var run = workspace.RunAlone(["train", "small.json", "--run", "run", .. all]); // nothing was computed there before

        var line = Line().Match(File.ReadAllText(workspace.PathOf("run/log.txt")));
        Assert.True(line.Success, run.Error);
        var took = double.Parse(line.Groups[1].Value, CultureInfo.InvariantCulture) * (1 << 20);
        Assert.True(planned / took is >= 0.9 and <= 1.1,
            $"planned {planned / 1048576.0:F1} MiB, took {took / 1048576.0:F1} MiB: {planned / took:F3}");
    }

    [GeneratedRegex(@"tensors took at most ([\d.]+) MiB")]
    private static partial Regex Line();
}
