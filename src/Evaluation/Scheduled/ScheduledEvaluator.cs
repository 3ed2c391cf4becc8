using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Models;
using Trainer.Models.Positions;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Scheduled;

/// <summary>An entry of <c>evaluation.measures</c>. A new one is a file and a <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
/// <remarks>Each runs the <c>evaluate</c> command's evaluator on the same data, and so reports the same figures.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ScheduledPerplexityOptions), "perplexity")]
[JsonDerivedType(typeof(ScheduledAccuracyOptions), "accuracy")]
[JsonDerivedType(typeof(ScheduledAnswersOptions), "answers")]
[JsonDerivedType(typeof(ScheduledTranslationOptions), "translation")]
[JsonDerivedType(typeof(ScheduledPasskeyOptions), "passkey")]
[JsonDerivedType(typeof(ScheduledSamplesOptions), "samples")]
[JsonDerivedType(typeof(ScheduledForecastOptions), "forecast")]
public abstract record ScheduledEvaluatorOptions : IValidated
{
    /// <summary>Its name in TensorBoard and in reports; null for its type.</summary>
    [Description("What the measure is called in TensorBoard (evaluation/<name>/…) and in reports; null: its type. Two measures of one " +
        "type need different names.")]
    public string? Name { get; init; }

    /// <summary>Steps between two evaluations; 0: only after the last step; null: with every evaluation.</summary>
    [Description("Steps between two measurements; 0: only after the last step; " +
        "null: as often as evaluation.every says. After the last step in any case.")]
    [Range(0, long.MaxValue)]
    public long? Every { get; init; }

    internal abstract string Kind { get; }

    internal string Title => Name ?? Kind;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate()
    {
        if (Name is not null && RunName.ValidationError(Name) is not null)
            yield return new("name", $"'{Name}' must be made of letters, digits, '-', '_' and '.', for it names curves");
    }

    /// <summary>Problems that only the model and data of the recipe reveal; paths are relative to this record.</summary>
    internal abstract IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data);

    internal abstract ScheduledEvaluator Build(EvaluationSubject subject);
}

internal abstract class ScheduledEvaluator
{
    /// <summary>Problems that only tokenizer and data reveal, found before the first step; paths are relative to the options.</summary>
    public virtual IEnumerable<Problem> Problems() => [];

    public abstract EvaluatorResult Evaluate();
}

internal sealed record EvaluatorResult(IReadOnlyList<EvaluatorFigure> Figures, IReadOnlyList<string> Lines)
{
    public IReadOnlyList<EvaluatorText> Texts { get; init; } = [];
}

/// <summary>The model under training, and what it is evaluated on; the seed is for evaluators that sample.</summary>
public sealed record EvaluationSubject(SequenceModel Model, TrainingData Data, DataOptions Settings, int BatchSize, int MicroBatch,
    long Seed, Device Device)
{
    /// <summary>The processes that train the model together, and share out what they can; null for one.</summary>
    public IProcessGroup? Processes { get; init; }

    /// <summary>The model, where it reads tokens.</summary>
    internal LanguageModel LanguageModel => (LanguageModel)Model;

    /// <summary>The tokenizer, where there is one.</summary>
    internal Tokenizer Tokenizer => ((PreparedData)Data).Tokenizer;

    /// <summary>The special tokens around what an encoder-decoder reads and writes; null for other models.</summary>
    internal SequenceTokens? Special => Model.Options is EncoderDecoderOptions ? SequenceTokens.Of(Tokenizer, Settings) : null;

    /// <summary>Rows of the validation data as <c>evaluate</c> makes them: so many batches, spread evenly; null for all.</summary>
    internal ValidationSet Rows(int? batches) => Data.OpenValidation(
        Settings, Model.ContextLength, BatchSize, batches ?? int.MaxValue, Model.PrefixLength).InBatchesOf(MicroBatch);
}

/// <summary>Checks the evaluators of a recipe against its model and data.</summary>
public static class EvaluatorValidation
{
    /// <summary>Problems with paths from the recipe's root.</summary>
    public static IEnumerable<Problem> Check(IReadOnlyList<ScheduledEvaluatorOptions> evaluators, ModelOptions model, DataOptions data)
    {
        for (int i = 0; i < evaluators.Count; i++)
        {
            string path = $"evaluation.measures.{i}";
            if (evaluators.Take(i).Any(earlier => earlier.Title == evaluators[i].Title))
                yield return new($"{path}.name", $"'{evaluators[i].Title}' is the name of an earlier measure, whose curves would be " +
                    "mixed with these; give this one another name");
            foreach (Problem problem in evaluators[i].ValidateFor(model, data))
                yield return problem with { Path = problem.Path.Length == 0 ? path : $"{path}.{problem.Path}" };
        }
    }

    /// <summary>Texts in one piece are for decoders that are trained on such.</summary>
    internal static IEnumerable<Problem> NeedsText(ModelOptions model, DataOptions data, string kind)
    {
        if (model.PatchInput() is not null)
            yield return new("type", $"'{kind}' measures texts, and this model reads pictures or time series: leave it out");
        else if (model is not DecoderOptions)
            yield return new("type", $"'{kind}' is for decoders, which predict each token from those before it; this model sees what " +
                "it would have to predict, or reads another text beside it: use 'accuracy'");
        else if (data.UsesTemplate)
            yield return new("type", $"'{kind}' measures texts in one piece, and of conversations (data.train.0) only what is learned is " +
                "scored; use 'accuracy'");
        else if (data.IsPaired)
            yield return new("type", $"'{kind}' measures texts in one piece, and data.packing 'pairs' scores only what answers; " +
                "use 'accuracy'");
    }

    /// <summary>Lengths that a model with learned positions has no positions for.</summary>
    internal static IEnumerable<Problem> NeedsPositions(ModelOptions model, string path, IEnumerable<int> lengths)
    {
        if (model.Position is LearnedOptions && lengths.DefaultIfEmpty().Max() is var longest && longest > model.ContextLength)
            yield return new(path, $"{longest} positions are more than the {model.ContextLength} that the model learns; use at most " +
                "model.contextLength, or another model.position");
    }
}
