using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>The share of prompts that a decoder answers exactly as the data does, token after token by itself.</summary>
public sealed record ScheduledAnswersOptions : ScheduledEvaluatorOptions
{
    /// <summary>Batches of <c>training.batchSize</c> rows, spread evenly over the validation data; null for all of it.</summary>
    [Description("Batches of training.batchSize rows, spread evenly over the validation data; the same ones every time. null: all of it.")]
    [Range(1, int.MaxValue)]
    public int? Batches { get; init; }

    /// <summary>The most tokens of an answer, with the one that ends it.</summary>
    [Description("The most tokens of an answer, with the one that ends it; longer ones are cut, and wrong.")]
    [Range(1, 1 << 20)]
    public int MaximumTokens { get; init; } = 64;

    internal override string Kind => "answers";

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data)
    {
        if (model is not DecoderOptions || data.Packing != DataPacking.Pairs)
            yield return new("type", "'answers' is for decoders that are trained on pairs of a prompt and an answer; set data.packing to " +
                "'pairs', or use 'accuracy'");
        else if (data.EndOfDocument == EndOfText.None)
            yield return new("type", "'answers' needs a token that ends an answer, and data.endOfDocument is 'none'; remove that, or use " +
                "'accuracy'");
    }

    internal override ScheduledEvaluator Build(EvaluationSubject subject) => new ScheduledAnswers(this, subject);
}

internal sealed class ScheduledAnswers(ScheduledAnswersOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly ValidationSet rows = subject.Rows(options.Batches);
    private readonly int? end = EndOfText.Of(subject.Tokenizer, subject.Settings.EndOfDocument);

    public override IEnumerable<Problem> Problems()
    {
        if (end is null)
            yield return new("type", "'answers' needs a token that ends an answer, and the tokenizer " +
                $"({subject.Tokenizer.Type}) has none; use 'accuracy', or type 'bpe' with \"<|endoftext|>\" in specialTokens");
    }

    public override EvaluatorResult Evaluate()
    {
        AnswerReport report = new AnswerEvaluator(
            subject.LanguageModel, subject.Tokenizer, end!.Value, options.MaximumTokens, subject.Processes)
            .Evaluate(rows);
        string line = string.Create(CultureInfo.InvariantCulture, $"{report.RightShare:P1} of " +
            $"{HumanFormat.Counted(report.Answers, "answer")} right, {report.MeanLength:F1} tokens long");
        return new([new("right", report.RightShare), new("length", report.MeanLength)], [line])
        {
            Texts = [.. report.Examples.Select(example => new EvaluatorText(example.Prompt, $"\n→ {example.Answer}\n= {example.Wanted}"))],
        };
    }
}
