using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>BLEU of translations of held-out pairs: as <c>evaluate --translate --beams</c>.</summary>
public sealed record ScheduledTranslationOptions : ScheduledEvaluatorOptions
{
    /// <summary>How many pairs are translated, spread evenly over the validation data.</summary>
    [Description("How many pairs are translated, spread evenly over the validation data; the same ones every time.")]
    [Range(1, int.MaxValue)]
    public int Pairs { get; init; } = 100;

    /// <summary>How many beginnings the search follows; 1 is greedy search.</summary>
    [Description("How many beginnings the search follows; 1 is greedy search.")]
    [Range(1, 1024)]
    public int Beams { get; init; } = new BeamOptions().Beams;

    /// <summary>α of the length penalty (Wu et al. 2016).</summary>
    [Description("The exponent of the length penalty: 0 prefers short texts; Vaswani et al. 2017 use 0.6.")]
    [Range(0.0, 100.0)]
    public double LengthPenalty { get; init; } = new BeamOptions().LengthPenalty;

    internal override string Kind => "translation";

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data)
    {
        if (model is not EncoderDecoderOptions)
            yield return new("type", "'translation' is for models of architecture 'encoder-decoder', which read one text and write " +
                "another; use 'perplexity' or 'accuracy'");
    }

    internal override ScheduledEvaluator Build(EvaluationSubject subject) => new ScheduledTranslation(this, subject);
}

internal sealed class ScheduledTranslation(ScheduledTranslationOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly ValidationSet rows = subject.Rows(batches: null);
    private readonly TranslationEvaluator evaluator = new(subject.LanguageModel, subject.Tokenizer, subject.Device,
        new() { Beams = options.Beams, LengthPenalty = options.LengthPenalty, Tokens = subject.Model.ContextLength }, subject.Special);

    public override EvaluatorResult Evaluate()
    {
        TranslationReport report = evaluator.Evaluate(rows, options.Pairs);
        return new([.. Figures(report)], [$"{report.Bleu}, {HumanFormat.Counted(report.Pairs, "pair")}, " +
            $"{HumanFormat.Counted(report.Beams, "beam")}"])
        {
            Texts = [.. report.Examples.Select(example => new EvaluatorText(example.Source, $"\n→ {example.Written}\n= {example.Target}"))],
        };
    }

    internal static IEnumerable<EvaluatorFigure> Figures(TranslationReport report)
    {
        yield return new("bleu", report.Bleu.Score, $"beams{report.Beams}");
        yield return new("brevityPenalty", report.Bleu.BrevityPenalty, $"beams{report.Beams}");
    }
}
