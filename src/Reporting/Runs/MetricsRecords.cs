namespace Trainer.Reporting;

/// <summary>A training step as metrics.jsonl has it; a figure that the record lacks is null, one that went wrong is NaN or infinite.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Tokens">Target tokens trained on.</param>
/// <param name="Seconds">Time spent in steps and evaluations since the run began; null where the records do not tell.</param>
/// <param name="Loss">Nats per token.</param>
/// <param name="LearningRate">The learning rate.</param>
/// <param name="GradientNorm">Norm of all gradients before clipping.</param>
/// <param name="TokensPerSecond">Target tokens a second.</param>
internal sealed record StepRecord(
    long Step, long Tokens, double? Seconds, double? Loss, double? LearningRate, double? GradientNorm, double? TokensPerSecond);

/// <summary>An evaluation as metrics.jsonl has it.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Seconds">Time spent in steps and evaluations since the run began, this one included; null where the records do not tell.</param>
/// <param name="Loss">Mean negative log-likelihood, in nats per token.</param>
internal sealed record EvaluationRecord(long Step, double? Seconds, double Loss);

/// <summary>What a measure of <c>evaluation.measures</c> found, as metrics.jsonl has it.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Seconds">Time spent in steps and evaluations since the run began, this one included; null where the records do not tell.</param>
/// <param name="Name">What the measure is called.</param>
/// <param name="Figures">Its figures by their keys; null where one was not finite.</param>
internal sealed record MeasureRecord(long Step, double? Seconds, string Name, IReadOnlyList<(string Key, double? Value)> Figures);

/// <summary>What metrics.jsonl records of a run.</summary>
/// <param name="Steps">The training steps, ascending.</param>
/// <param name="Evaluations">The evaluations, ascending.</param>
/// <param name="SkippedSteps">Steps whose update was skipped because something was not finite.</param>
internal sealed record RunMetrics(IReadOnlyList<StepRecord> Steps, IReadOnlyList<EvaluationRecord> Evaluations, long SkippedSteps)
{
    /// <summary>What measures found, in the order of the file.</summary>
    public IReadOnlyList<MeasureRecord> Measures { get; init; } = [];

    /// <summary>A run of which nothing is recorded.</summary>
    public static RunMetrics None { get; } = new([], [], 0);

    /// <summary>Whether nothing is recorded.</summary>
    public bool IsEmpty => Steps.Count == 0 && Evaluations.Count == 0;

    /// <summary>The lowest finite validation loss and its step.</summary>
    public EvaluationRecord? Best => Evaluations.Where(record => double.IsFinite(record.Loss)).MinBy(record => record.Loss);

    /// <summary>Tokens trained on at a step: as recorded, in proportion between two records.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <returns>Target tokens; null where no training step is recorded.</returns>
    public double? TokensAt(long step)
    {
        if (Steps.Count == 0) return null;
        var after = FirstAtOrAfter(step);
        if (after < Steps.Count && Steps[after].Step == step) return Steps[after].Tokens;
        var (left, right) = (after == 0 ? (0L, 0L) : Place(after - 1), after < Steps.Count ? Place(after) : Place(Steps.Count - 1));
        if (right.Item1 == left.Item1) left = (0, 0);   // beyond the last record: at the pace of the whole run
        return right.Item1 == left.Item1 ? right.Item2
            : left.Item2 + (double)(right.Item2 - left.Item2) * (step - left.Item1) / (right.Item1 - left.Item1);
    }

    private (long Step, long Tokens) Place(int index) => (Steps[index].Step, Steps[index].Tokens);

    private int FirstAtOrAfter(long step)
    {
        var (low, high) = (0, Steps.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (Steps[middle].Step < step) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}
