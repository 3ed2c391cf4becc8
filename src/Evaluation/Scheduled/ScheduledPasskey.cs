using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>Whether the model repeats a passkey hidden in filler, by length and depth: as <c>evaluate --passkey</c>.</summary>
public sealed record ScheduledPasskeyOptions : ScheduledEvaluatorOptions
{
    private static readonly PasskeyOptions Defaults = new() { Lengths = [] };

    /// <summary>Lengths of the whole prompt, in tokens.</summary>
    [Description("Lengths of the whole prompt, in tokens; also more than the model is trained on.")]
    [Range(1, int.MaxValue)]
    public required IReadOnlyList<int> Lengths { get; init; }

    /// <summary>Where the passkey stands in the filler: 0 at its beginning, 1 at its end.</summary>
    [Description("Where the passkey stands in the filler: 0 at its beginning, 1 at its end.")]
    [Range(0.0, 1.0)]
    public IReadOnlyList<double> Depths { get; init; } = Defaults.Depths;

    /// <summary>Passkeys tried at each depth of each length.</summary>
    [Description("Passkeys tried at each depth of each length.")]
    [Range(1, 1 << 20)]
    public int Trials { get; init; } = Defaults.Trials;

    /// <summary>Digits of a passkey.</summary>
    [Description("Digits of a passkey.")]
    [Range(1, 18)]
    public int Digits { get; init; } = Defaults.Digits;

    /// <summary>What the prompt begins with; null for the published text.</summary>
    [Description("What the prompt begins with; null: the published text (Mohtashami and Jaggi 2023), about 150 characters.")]
    public string? Introduction { get; init; }

    /// <summary>Sentences that are repeated around the passkey; null for the published ones.</summary>
    [Description("Sentences that are repeated around the passkey; null: the published ones.")]
    public IReadOnlyList<string>? Filler { get; init; }

    /// <summary>The sentence with the passkey in place of {0}; null for the published one.</summary>
    [Description("The sentence that is hidden, with {0} where the passkey stands; null: the published one.")]
    public string? Needle { get; init; }

    /// <summary>What the model has to continue with the passkey; null for the published text.</summary>
    [Description("What the model has to continue with the passkey; null: the published text.")]
    public string? Question { get; init; }

    internal override string Kind => "passkey";

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate() => [.. base.Validate(), .. ToOptions().Validate()];

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data)
    {
        foreach (Problem problem in EvaluatorValidation.NeedsText(model, data, Kind)) yield return problem;
        foreach (Problem problem in EvaluatorValidation.NeedsPositions(model, "lengths", Lengths)) yield return problem;
    }

    internal override ScheduledEvaluator Build(EvaluationSubject subject) => new ScheduledPasskey(this, subject);

    /// <summary>The options of the evaluator.</summary>
    public PasskeyOptions ToOptions() => new()
    {
        Lengths = Lengths,
        Depths = Depths,
        Trials = Trials,
        Digits = Digits,
        Introduction = Introduction ?? Defaults.Introduction,
        Filler = Filler ?? Defaults.Filler,
        Needle = Needle ?? Defaults.Needle,
        Question = Question ?? Defaults.Question,
    };
}

internal sealed class ScheduledPasskey(ScheduledPasskeyOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly PasskeyEvaluator evaluator = new(subject.LanguageModel, subject.Tokenizer);

    public override IEnumerable<Problem> Problems() =>
        evaluator.ValidationError(options.ToOptions()) is { } error ? [new("lengths", error)] : [];

    public override EvaluatorResult Evaluate()
    {
        PasskeyReport report = evaluator.Evaluate(options.ToOptions());
        string byLength = string.Join(", ", ByLength(report)
            .Select(length => string.Create(CultureInfo.InvariantCulture, $"{length.Share:F2} at {length.Length}")));
        return new([.. Figures(report)], [string.Create(CultureInfo.InvariantCulture, $"passkeys found {report.Accuracy:F4} (by " +
            $"prompt tokens: {byLength})")]);
    }

    internal static IEnumerable<EvaluatorFigure> Figures(PasskeyReport report)
    {
        yield return new("found", report.Accuracy);
        foreach ((int length, double share) in ByLength(report)) yield return new("foundByLength", share, $"length{length}");
        foreach (PasskeyCell cell in report.Cells)
            yield return new("foundByDepth", (double)cell.Found / cell.Trials, $"length{cell.Length}", cell.Depth);
    }

    private static IEnumerable<(int Length, double Share)> ByLength(PasskeyReport report) =>
        report.Cells.GroupBy(cell => cell.Length)
            .Select(cells => (cells.Key, (double)cells.Sum(cell => cell.Found) / cells.Sum(cell => cell.Trials)));
}
