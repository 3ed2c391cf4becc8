using Trainer.Reporting.Runs;

namespace Trainer.Training.Experiments;

/// <summary>The validation losses of a branch and of its original at a step, in nats per token.</summary>
public sealed record ComparedLoss(long Step, double Branch, double Original)
{
    /// <summary>Less than zero where the branch is better.</summary>
    public double Difference => Branch - Original;
}

/// <summary>A branch beside the run it comes from, which is its control.</summary>
public sealed record BranchComparison(IReadOnlyList<ComparedLoss> Losses)
{
    /// <summary>How the original gets evaluations to compare with; null where it has some.</summary>
    public string? Advice { get; private init; }

    /// <summary>The evaluations that both have after the step where they part.</summary>
    public static BranchComparison Of(BranchRequest request, RunBranch branch, Action<string> warn)
    {
        Dictionary<long, double> own = After(request.Step, branch.Directory, warn), control = After(request.Step, request.Run, warn);
        ComparedLoss[] both =
            [.. own.Keys.Intersect(control.Keys).Order().Select(step => new ComparedLoss(step, own[step], control[step]))];
        return new BranchComparison(both) { Advice = both.Length > 0 || own.Count == 0 ? null : AdviceFor(request, control) };
    }

    private static Dictionary<long, double> After(long step, string directory, Action<string> warn) =>
        RunMetrics.Read(directory, warn).Evaluations.Where(record => record.Step > step)
            .ToDictionary(record => record.Step, record => record.Loss);

    private static string AdviceFor(BranchRequest request, Dictionary<long, double> control)
    {
        if (control.Count > 0) return $"{request.Run} has no evaluation at a step where the branch has one: their evaluation.every differ";
        string more = RecordedRun.Open(request.Run) is var run && run.Checkpoints.Last >= run.Recipe.Training.Steps
            ? $" --set training.steps={2 * run.Recipe.Training.Steps}"
            : "";
        return $"{request.Run} has no evaluation after step {request.Step} to compare with; it gets some by " +
            RecordedRun.ResumeCommand(request.Run) + more;
    }
}
