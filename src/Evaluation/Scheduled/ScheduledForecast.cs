using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Evaluation.Patches;
using Trainer.Models;
using Trainer.Models.Patches;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>Errors of forecasts, as <c>evaluate</c> measures them.</summary>
public sealed record ScheduledForecastOptions : ScheduledEvaluatorOptions
{
    /// <summary>Batches of <c>training.batchSize</c> windows, spread evenly over the validation data; null for all of it.</summary>
    [Description("Batches of training.batchSize windows, spread evenly over the validation data; the same ones every time. null: all.")]
    [Range(1, int.MaxValue)]
    public int? Batches { get; init; }

    /// <summary>The period after which values repeat, for a forecast to compare with; null for none.</summary>
    [Description("Steps of time after which values repeat, such as 24 for hours: the values so long before are a forecast to compare " +
        "with. null: none.")]
    [Range(1, int.MaxValue)]
    public int? Season { get; init; }

    internal override string Kind => "forecast";

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data)
    {
        if (model.PatchInput() is not SeriesPatchOptions series)
            yield return new("type", "'forecast' is for models of time series (model.input 'series-patches'); use 'accuracy'");
        else if (Season > series.Length)
            yield return new("season", $"season ({Season}) is more than the {series.Length} values that are read; use {series.Length} or " +
                "less");
    }

    internal override ScheduledEvaluator Build(EvaluationSubject subject) => new ScheduledForecast(this, subject);
}

internal sealed class ScheduledForecast(ScheduledForecastOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly ForecastEvaluator evaluator = new(subject.Model, subject.Processes);
    private readonly ValidationSet rows = subject.Rows(options.Batches);

    public override EvaluatorResult Evaluate()
    {
        ForecastReport report = evaluator.Evaluate(rows, subject.Device, options.Season);
        return new([.. Figures(report)], [Line(report)]);
    }

    internal static IEnumerable<EvaluatorFigure> Figures(ForecastReport report)
    {
        yield return new("meanSquaredError", report.Model.MeanSquaredError);
        yield return new("meanAbsoluteError", report.Model.MeanAbsoluteError);
        yield return new("meanSquaredError", report.LastValue.MeanSquaredError, "lastValue");
        yield return new("meanAbsoluteError", report.LastValue.MeanAbsoluteError, "lastValue");
        if (report.LastSeason is not { } season) yield break;
        yield return new("meanSquaredError", season.MeanSquaredError, $"season{report.Season}");
        yield return new("meanAbsoluteError", season.MeanAbsoluteError, $"season{report.Season}");
    }

    private static string Line(ForecastReport report) => string.Create(CultureInfo.InvariantCulture,
        $"forecasts: mean squared error {report.Model.MeanSquaredError:F4}, mean absolute error {report.Model.MeanAbsoluteError:F4} over " +
        $"{HumanFormat.Number(report.Values)} values; the last value {report.LastValue.MeanSquaredError:F4} and " +
        $"{report.LastValue.MeanAbsoluteError:F4}") + (report.LastSeason is { } season
            ? string.Create(CultureInfo.InvariantCulture,
                $"; the season before {season.MeanSquaredError:F4} and {season.MeanAbsoluteError:F4}")
            : "");
}
