using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Evaluators;

/// <summary>What a measure found.</summary>
/// <param name="Figures">Figures, each with the conditions that it depends on.</param>
/// <param name="Lines">The same for people: one or a few lines.</param>
internal sealed record MeasureOutcome(IReadOnlyList<MeasureFigure> Figures, IReadOnlyList<string> Lines)
{
    /// <summary>Texts that the model wrote.</summary>
    public IReadOnlyList<MeasureText> Texts { get; init; } = [];
}
