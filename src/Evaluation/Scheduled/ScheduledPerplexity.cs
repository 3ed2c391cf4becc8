using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Preparation;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>Perplexity of the validation text in windows, each token scored once: as <c>evaluate --window --stride</c>.</summary>
public sealed record ScheduledPerplexityOptions : ScheduledEvaluatorOptions
{
    /// <summary>Windows in tokens, each evaluated; empty for <c>model.contextLength</c>.</summary>
    [Description("Tokens that the model is given at once, also more than it is trained on; " +
        "each of these windows is measured. Empty: model.contextLength.")]
    [Range(1, int.MaxValue)]
    public IReadOnlyList<int> Windows { get; init; } = [];

    /// <summary>Tokens between the starts of windows; null for the window, so that they do not overlap.</summary>
    [Description("Tokens between the beginnings of windows; null: the window, so that they do not overlap, which is fastest. Smaller: " +
        "a sliding window. Each token is scored once either way.")]
    [Range(1, int.MaxValue)]
    public int? Stride { get; init; }

    /// <summary>Whether each document is scored by itself; otherwise windows cross from one to the next.</summary>
    [Description("Score each document by itself; otherwise windows cross from one to the next.")]
    public bool Documents { get; init; }

    /// <summary>A token before the text, or with <see cref="Documents"/> before each document, by name or id; null: none.</summary>
    [Description("A token, by name or id, put before the text (each document with documents), so that its first token is scored, too; " +
        "null: the first is not scored.")]
    public string? Beginning { get; init; }

    /// <summary>Tokens of the validation text, from its start; null: all.</summary>
    [Description("How many tokens of the validation text are measured, from its beginning on; null: all.")]
    [Range(2, long.MaxValue)]
    public long? Tokens { get; init; }

    /// <summary>The number of bins of the loss by position; 0: none.</summary>
    [Description("How many parts of each window the loss is told for by itself (loss by position); 0: none.")]
    [Range(0, 1024)]
    public int Positions { get; init; }

    internal override string Kind => "perplexity";

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data)
    {
        foreach (Problem problem in EvaluatorValidation.NeedsText(model, data, Kind)) yield return problem;
        foreach (Problem problem in EvaluatorValidation.NeedsPositions(model, "windows", Windows)) yield return problem;
        IReadOnlyList<int> windows = WindowsFor(model.ContextLength);
        if (Stride is { } stride && stride > windows.Min())
            yield return new("stride", $"stride ({stride}) must be at most the window ({windows.Min()}), or tokens between windows " +
                "would not be scored; leave it out for windows that do not overlap");
        if (model.PrefixLength() > 1)
            foreach (Problem problem in windows.SelectMany(window => ToOptions(window, model.PrefixLength()).Validate()))
                yield return problem with { Path = problem.Path == "window" ? "windows" : problem.Path };
        if (windows.GroupBy(window => window).FirstOrDefault(alike => alike.Count() > 1) is { Key: var twice })
            yield return new("windows", $"{twice} is given twice; name each window once");
    }

    internal override ScheduledEvaluator Build(EvaluationSubject subject) => new ScheduledPerplexity(this, subject);

    /// <summary>One window's options, without the beginning token; by default windows overlap by all but one token of the prefix.</summary>
    internal PerplexityOptions ToOptions(int window, int prefix) => new()
    {
        Window = window,
        Stride = Stride ?? Math.Max(1, window - prefix + 1),
        Prefix = prefix,
        Documents = Documents,
        Bins = Math.Max(1, Positions),
    };

    internal IReadOnlyList<int> WindowsFor(int contextLength) => Windows.Count > 0 ? Windows : [contextLength];
}

internal sealed class ScheduledPerplexity(ScheduledPerplexityOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly PerplexityEvaluator evaluator = new(subject.LanguageModel, subject.Tokenizer, subject.Processes);

    public override IEnumerable<Problem> Problems()
    {
        if (options.Beginning is { } token && BeginningOfSequence.Find(subject.Tokenizer, token) is null)
            yield return new("beginning", $"\"{token}\" is no token of this tokenizer ({subject.Tokenizer.Type}): neither a name in " +
                $"its vocabulary nor an id from 0 to {subject.Tokenizer.VocabularySize - 1}");
    }

    public override EvaluatorResult Evaluate()
    {
        PerplexityReport[] reports = [.. options.WindowsFor(subject.Model.ContextLength).Select(EvaluateWindow)];
        return new([.. reports.SelectMany(Figures)], [.. reports.Select(Line)]);
    }

    internal IEnumerable<EvaluatorFigure> Figures(PerplexityReport report)
    {
        string condition = $"window{report.Window}-stride{report.Stride}";
        yield return new("perplexity", report.Perplexity, condition);
        yield return new("loss", report.MeanLoss, condition);
        if (report.BitsPerByte is { } bits) yield return new("bitsPerByte", bits, condition);
        yield return new("accuracy", report.Accuracy, condition);
        if (options.Positions == 0) yield break;
        foreach (PositionLoss part in report.ByPosition) yield return new("lossByPosition", part.Loss, condition, part.To);
    }

    private PerplexityReport EvaluateWindow(int window)
    {
        PerplexityOptions windowed = options.ToOptions(window, subject.Model.PrefixLength) with
        {
            Beginning = options.Beginning is { } token ? new(BeginningOfSequence.Find(subject.Tokenizer, token)!.Value) : null,
        };
        return evaluator.Evaluate(TokenText.Of(((PreparedData)subject.Data).Validation, options.Tokens), windowed);
    }

    private static string Line(PerplexityReport report) => string.Create(CultureInfo.InvariantCulture,
        $"perplexity {report.Perplexity:F4} (window {report.Window}, stride {report.Stride}), {BitsPerByte(report)}accuracy " +
        $"{report.Accuracy:F4} over {HumanFormat.Number(report.Tokens)} tokens");

    private static string BitsPerByte(PerplexityReport report) =>
        report.BitsPerByte is { } bits ? string.Create(CultureInfo.InvariantCulture, $"{bits:F4} bits per byte, ") : "";
}
