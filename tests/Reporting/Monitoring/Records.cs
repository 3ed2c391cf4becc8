using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Tests.Monitoring;

/// <summary>Records with plausible figures, of which a test states only what it is about.</summary>
internal static class Records
{
    public static StepMetrics Step(long step, double loss = 1.8312) => new()
    {
        Step = step,
        Tokens = step * 768,
        Loss = loss,
        LearningRate = 8.2e-4,
        GradientNorm = 0.7431,
        TokensPerSecond = 13_200,
        StepSeconds = 0.0582,
    };

    public static EvaluationMetrics Evaluation(long step, double loss = 1.9123, long? bestStep = null) => new()
    {
        Step = step,
        ValidationLoss = loss,
        BestLoss = bestStep is null ? loss : loss - 0.1,
        BestStep = bestStep ?? step,
        Seconds = 1.5,
    };
}
