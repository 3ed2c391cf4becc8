using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>Texts that the model continues, or answers, sampled as <c>generate</c> does.</summary>
public sealed record ScheduledSamplesOptions : ScheduledEvaluatorOptions
{
    /// <summary>The prompts.</summary>
    [Description("What the model is given to continue; an encoder-decoder answers it.")]
    [MinLength(1)]
    public required IReadOnlyList<string> Prompts { get; init; }

    /// <summary>The most tokens to generate.</summary>
    [Description("How many tokens are written at most.")]
    [Range(1, 1 << 20)]
    public int Tokens { get; init; } = 200;

    /// <summary>Divides the logits before the softmax; 0: the most likely token always.</summary>
    [Description("Divides the logits before the softmax: below 1 sharper, above 1 flatter; 0: always the most likely token.")]
    [Range(0.0, 100.0)]
    public double Temperature { get; init; } = 0.8;

    /// <summary>Only the k most likely tokens may be drawn; null for all.</summary>
    [Description("Only so many of the most likely tokens may be drawn; null: all.")]
    [Range(1, int.MaxValue)]
    public int? TopK { get; init; }

    /// <summary>Only the smallest set of tokens whose probabilities sum to p may be drawn; null for all.</summary>
    [Description("Only the smallest set of most likely tokens whose probabilities sum to this may be drawn; null: all.")]
    [Range(0.0, 1.0, MinimumIsExclusive = true)]
    public double? TopP { get; init; } = 0.95;

    internal override string Kind => "samples";

    internal override IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data) => model.PatchInput() is null
        ? []
        : [new("type", "'samples' are texts that the model continues, and this one reads none; remove the measure")];

    internal override ScheduledEvaluator Build(EvaluationSubject subject) => new ScheduledSamples(this, subject);
}

/// <summary>A text for each prompt; sampling restarts from the seed each time.</summary>
internal sealed class ScheduledSamples(ScheduledSamplesOptions options, EvaluationSubject subject) : ScheduledEvaluator
{
    private readonly TextGenerator generator = new(subject.LanguageModel, subject.Tokenizer, subject.Device,
        EndOfText.Of(subject.Tokenizer, subject.Settings.EndOfDocument), chat: ConversationTemplate.Of(subject.Settings)?.Template,
        special: subject.Special);
    private readonly GenerationOptions generation = new()
    {
        Tokens = options.Tokens,
        Sampling = new() { Temperature = options.Temperature, TopK = options.TopK, TopP = options.TopP, Seed = subject.Seed },
    };

    public override IEnumerable<Problem> Problems() => Prompts.Check(generator, options.Prompts, "prompts");

    public override EvaluatorResult Evaluate() => new([], [])
    {
        Texts = [.. options.Prompts.Select(prompt => new EvaluatorText(prompt, string.Concat(generator.Stream(prompt, generation))))],
    };
}

/// <summary>Checks prompts before a run starts.</summary>
public static class Prompts
{
    /// <summary>Problems of prompts that cannot be continued; <paramref name="path"/> is that of their list.</summary>
    public static IEnumerable<Problem> Check(TextGenerator generator, IReadOnlyList<string> prompts, string path) =>
        prompts.Select((prompt, index) => ValidationError(generator, prompt) is { } error
            ? new Problem($"{path}.{index}", error)
            : null).OfType<Problem>();

    private static string? ValidationError(TextGenerator generator, string prompt)
    {
        try
        {
            generator.Encode(prompt);
            return null;
        }
        catch (Exception error) when (error is UserException or EncodingException)
        {
            return error.Message;
        }
    }
}
