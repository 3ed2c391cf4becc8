using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Evaluation.Patches;
using Trainer.Models;
using Trainer.Models.Patches;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>Accuracy of next tokens, of the hidden tokens of a masked model, of answers and translations, or of classes.</summary>
public sealed record ScheduledAccuracyOptions : ScheduledEvaluatorOptions
{
    /// <summary>Batches of <c>training.batchSize</c> rows, spread evenly over the validation data; null for all of it.</summary>
    [Description("Batches of training.batchSize rows, spread evenly over the validation data; the same ones every time. null: all of it.")]
    [Range(1, int.MaxValue)]
    public int? Batches { get; init; }

    /// <summary>How many of the most likely tokens, or classes, count for the second accuracy.</summary>
    [Description("How many of the most likely tokens, or classes, count for the second accuracy.")]
    [Range(1, int.MaxValue)]
    public int Top { get; init; } = 5;

    internal override string Kind => "accuracy";

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data) => model.PatchInput() is SeriesPatchOptions
        ? [new("type", "'accuracy' is for tokens and classes, and this model forecasts values; use 'forecast'")]
        : data.HasPreferences
        ? [new("type", "'accuracy' is of tokens that are to be written, and those of rejected answers are not; the run itself reports " +
            "what is preferred: remove the measure")]
        : [];

    internal override ScheduledEvaluator Build(EvaluationSubject subject) =>
        subject.Data is NumberData { Preprocessor: ImagePreprocessor preprocessor }
            ? new ScheduledClassAccuracy(this, subject, preprocessor)
            : new ScheduledAccuracy(this, subject);
}

internal sealed class ScheduledClassAccuracy(
    ScheduledAccuracyOptions options, EvaluationSubject subject, ImagePreprocessor preprocessor) : ScheduledEvaluator
{
    private readonly ClassificationEvaluator evaluator = new(subject.Model, preprocessor, subject.Processes);
    private readonly ValidationSet rows = subject.Rows(options.Batches);

    public override EvaluatorResult Evaluate()
    {
        ClassificationReport report = evaluator.Evaluate(rows, subject.Device, options.Top);
        return new(
            [
                new("accuracy", report.Accuracy), new($"accuracyInTop{report.Top}", report.InTop), new("loss", report.MeanLoss),
                .. report.Classes.Where(entry => entry.Accuracy is not null).Select(
                    entry => new EvaluatorFigure("accuracy", entry.Accuracy!.Value, entry.Name)),
            ],
            [string.Create(CultureInfo.InvariantCulture, $"accuracy {report.Accuracy:F4} of classes, {report.InTop:F4} among the " +
                $"{report.Top} most likely; loss {report.MeanLoss:F4} over {HumanFormat.Number(report.Pictures)} pictures")]);
    }
}

internal sealed class ScheduledAccuracy(ScheduledAccuracyOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly TargetEvaluator evaluator = new(subject.LanguageModel, subject.Tokenizer, subject.Processes);
    private readonly ValidationSet rows = subject.Rows(options.Batches);

    public override EvaluatorResult Evaluate()
    {
        TargetReport report = evaluator.Evaluate(rows, options.Top);
        return new([.. Figures(report)], [Line(report)]);
    }

    internal static IEnumerable<EvaluatorFigure> Figures(TargetReport report)
    {
        yield return new("accuracy", report.Accuracy);
        yield return new($"accuracyInTop{report.Top}", report.TopAccuracy);
        yield return new("loss", report.MeanLoss);
        yield return new("perplexity", report.Perplexity);
        if (report.BitsPerByte is { } bits) yield return new("bitsPerByte", bits);
    }

    private string Line(TargetReport report) => string.Create(CultureInfo.InvariantCulture,
        $"accuracy {report.Accuracy:F4} of {Targets()}, {report.TopAccuracy:F4} among the {report.Top} most likely; loss " +
        $"{report.MeanLoss:F4} over {HumanFormat.Number(report.Tokens)} tokens in {HumanFormat.Number(report.Rows)} rows");

    private string Targets() => subject.Model.Options switch
    {
        EncoderOptions => "hidden tokens",
        EncoderDecoderOptions => "target tokens",
        _ => subject.Settings.IsPaired || subject.Settings.UsesTemplate ? "answers" : "next tokens",
    };
}
