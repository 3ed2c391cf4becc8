using System.Text.Json.Nodes;

namespace Trainer.Reporting;

/// <summary>The row of a run in the summary; a figure that is not known is null.</summary>
internal sealed record RunSummary
{
    /// <summary>The lowest validation loss, in nats per token.</summary>
    public double? BestLoss { get; init; }

    /// <summary>Its step.</summary>
    public long? BestStep { get; init; }

    /// <summary>exp of it.</summary>
    public double? Perplexity { get; init; }

    /// <summary>The last recorded training loss.</summary>
    public double? LastLoss { get; init; }

    /// <summary>Optimizer steps recorded.</summary>
    public long? Steps { get; init; }

    /// <summary>Optimizer steps planned.</summary>
    public long? PlannedSteps { get; init; }

    /// <summary>Tokens trained on.</summary>
    public double? Tokens { get; init; }

    /// <summary>Learned numbers.</summary>
    public long? Parameters { get; init; }

    /// <summary>Seconds spent in steps and evaluations.</summary>
    public double? Seconds { get; init; }

    /// <summary>The median of the recorded speeds.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>Steps whose update was skipped.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Sums a run up.</summary>
    public static RunSummary Of(RunRecord run)
    {
        var (steps, evaluations, best) = (run.Metrics.Steps, run.Metrics.Evaluations, run.Metrics.Best);
        double[] speeds = [.. steps.Select(step => step.TokensPerSecond).OfType<double>().Where(double.IsFinite).Order()];
        var last = new[] { steps is [.., var step] ? step.Step : -1, evaluations is [.., var evaluation] ? evaluation.Step : -1 }.Max();
        return new RunSummary
        {
            BestLoss = best?.Loss,
            BestStep = best?.Step,
            Perplexity = PageNumber.Rounded(best is null ? null : Math.Exp(best.Loss)),
            LastLoss = steps is [.., { Loss: { } loss }] && double.IsFinite(loss) ? loss : null,
            Steps = last < 0 ? null : last,
            PlannedSteps = run.Configuration?["training"] is JsonObject training && training["steps"] is JsonValue planned && planned.TryGetValue<long>(out var count) ? count : null,
            Tokens = last < 0 ? null : run.Metrics.TokensAt(last),
            Parameters = run.Parameters,
            Seconds = PageNumber.Rounded(new[] { steps is [.., var lastStep] ? lastStep.Seconds : null, evaluations is [.., var lastEvaluation] ? lastEvaluation.Seconds : null }.Max()),
            TokensPerSecond = PageNumber.Rounded(speeds.Length == 0 ? null : speeds[speeds.Length / 2]),
            SkippedSteps = run.Metrics.SkippedSteps,
        };
    }
}
