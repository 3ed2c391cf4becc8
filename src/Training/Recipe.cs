using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scheduled;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Losses;
using Trainer.Training.Optimizers;
using Trainer.Training.Preferences;
using Trainer.Training.Reinforcement;

namespace Trainer.Training;

/// <summary>A whole run as configuration; saved with the run and inside every checkpoint.</summary>
public sealed record Recipe : IValidated
{
    /// <summary>The run's name; its files go to <c>runs/&lt;name&gt;</c>.</summary>
    [Description("The run's name; its files go to runs/<name>.")]
    public required string Name { get; init; }

    /// <summary>Draws the initial weights, the order of the data and the dropout.</summary>
    [Description("Draws the initial weights, the order of the data and the dropout.")]
    public long Seed { get; init; } = 1337;

    /// <summary>The model.</summary>
    [Description("The model.")]
    public required ModelOptions Model { get; init; }

    /// <summary>How text becomes tokens; absent for a model of patches, and only for that.</summary>
    [Description("How text becomes tokens; absent where model.input reads pictures or time series.")]
    public TokenizerOptions? Tokenizer { get; init; }

    /// <summary>The texts, pictures or time series to train and validate on.</summary>
    [Description("The texts, pictures or time series to train and validate on.")]
    public required DataOptions Data { get; init; }

    /// <summary>Length, batches, number format and device of the run.</summary>
    [Description("Length, batches, number format and device of the run.")]
    public required TrainingOptions Training { get; init; }

    /// <summary>How gradients change the weights.</summary>
    [Description("How gradients change the weights.")]
    public OptimizerOptions Optimizer { get; init; } = new AdamWOptions();

    /// <summary>How the learning rate moves over the run.</summary>
    [Description("How the learning rate moves over the run.")]
    public ScheduleOptions Schedule { get; init; } = new CosineSchedule();

    /// <summary>When the validation loss is measured, and on how much.</summary>
    [Description("When the validation loss is measured, and on how much.")]
    public EvaluationOptions Evaluation { get; init; } = new();

    /// <summary>When checkpoints are written, and how many are kept.</summary>
    [Description("When checkpoints are written, and how many are kept.")]
    public CheckpointOptions Checkpoint { get; init; } = new();

    /// <summary>What is reported while the run goes on.</summary>
    [Description("What is reported while the run goes on.")]
    public MonitoringOptions Monitoring { get; init; } = new();

    /// <summary>Where the first weights come from; <c>null</c>: drawn from the seed.</summary>
    [Description("Where the first weights come from; null: drawn from the seed.")]
    public InitializeOptions? Initialize { get; init; }

    /// <summary>What is trained in place of the first weights; <c>null</c>: these themselves.</summary>
    [Description("Small matrices that are trained in place of the first weights, which stay as they are; null: all weights are trained.")]
    public AdapterOptions? Adapter { get; init; }

    /// <summary>The model to learn from besides the text; <c>null</c>: none.</summary>
    [Description("A trained model whose probabilities are learned besides the text; null: the text alone.")]
    public DistillationOptions? Distillation { get; init; }

    /// <summary>How answers that were chosen and rejected are learned; <c>null</c>: none are.</summary>
    [Description("How answers that were chosen and rejected are learned from (sources of format preferences); null: there are none.")]
    public PreferenceOptions? Preference { get; init; }

    /// <summary>How the model learns from rewards for its own answers; <c>null</c>: it learns the text.</summary>
    [Description("Learning from rewards: the model answers the prompts of the data, and is trained on its own answers by how good they " +
        "are; null: it learns the text.")]
    public ReinforcementOptions? Reinforcement { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (RunName.ValidationError(Name) is { } error) yield return new("name", error);
        foreach (Problem problem in Schedule.ValidateFor(Training.Steps, Optimizer.LearningRate))
            yield return problem with { Path = $"schedule.{problem.Path}" };
        if (Tokenizer is null && Model.PatchInput() is null)
            yield return new("tokenizer", "is missing, and this model reads texts; name one, such as {\"type\": \"byte\"}");
        foreach (Problem problem in PatchValidation.Check(this)) yield return problem;
        foreach (Problem problem in ObjectiveValidation.Check(Model, Data)) yield return problem;
        foreach (Problem problem in TrainingStages.Check(Training, Model, Data)) yield return problem;
        foreach (Problem problem in EvaluatorValidation.Check(Evaluation.Measures, Model, Data)) yield return problem;
        if (Optimizer.Groups?.Head is not null && Model is { TieEmbeddings: true } and not EncoderOptions { HeadTransform: true }
            && Model.PatchInput() is null)
            yield return new("optimizer.groups.head", "the head is the token embedding, as model.tieEmbeddings is true; set " +
                "optimizer.groups.embeddings, or tieEmbeddings to false");
        if (Optimizer is ScheduleFreeOptions { Average: not null })
            yield return new("optimizer.average", "schedule-free-adamw averages the weights itself; leave average out, or use adamw");
        foreach (Problem problem in AdapterProblems()) yield return problem;
        foreach (Problem problem in Distillation?.ValidateFor(this) ?? []) yield return problem;
        foreach (Problem problem in Preference?.ValidateFor(this) ?? []) yield return problem;
        if (Preference is null && Data.HasPreferences)
            yield return new("preference", "is missing, and data.train has answers that were chosen and rejected; say how they are " +
                "learned, such as {\"type\": \"dpo\"}");
        foreach (Problem problem in ReinforcementValidation.Check(this)) yield return problem;
        if (Initialize?.Convert is { KeyValueHeads: var heads })
            foreach (Problem problem in GroupedQueryModel.Problems(Model, heads, "initialize.convert.keyValueHeads")) yield return problem;
    }

    private IEnumerable<Problem> AdapterProblems()
    {
        if (Adapter is null) yield break;
        if (Initialize is null)
            yield return new("adapter", "adapts weights that were trained before, and initialize says of none; set initialize.from to a " +
                "checkpoint, or leave adapter out");
        if (Initialize is { Convert: not null })
            yield return new("adapter", "goes on weights as a checkpoint has them, and initialize.convert changes them; write a " +
                "converted checkpoint by convert --key-value-heads first, and name that in initialize.from");
        if (Optimizer is MuonOptions)
            yield return new("optimizer.type", "muon makes the update of a whole matrix orthogonal, and adapter trains two factors of an " +
                "update instead; use adamw");
    }

    /// <summary>Reads the <c>config.json</c> of a run or checkpoint, without environment variables.</summary>
    /// <exception cref="ConfigurationException">It is not one; everything that is wrong is listed.</exception>
    public static Recipe Load(string path) => ConfigurationJson.Deserialize<Recipe>(File.ReadAllText(path), path);

    /// <summary>The learning rate of the step that follows so many.</summary>
    internal double LearningRateAfter(long steps) => Schedule.LearningRate(steps, Training.Steps, Optimizer.LearningRate);

    /// <summary>The recipe with the model that is trained, which <c>initialize.convert</c> may change, and rows that come again where
    /// <c>distillation.cache</c> keeps something of them; idempotent.</summary>
    internal Recipe Resolve()
    {
        Recipe resolved = this;
        if (Initialize?.Convert is { KeyValueHeads: var heads }) resolved = resolved with { Model = GroupedQueryModel.Apply(Model, heads) };
        if (Distillation?.Cache is not null && Data.HasWindows) resolved = resolved with { Data = Data with { ShiftWindows = false } };
        return resolved;
    }
}

/// <summary>When the validation loss is computed, on how much data, and what else is evaluated.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Steps between evaluations; 0: only after the last step.</summary>
    [Description("Steps between evaluations; 0: only after the last step.")]
    [Range(0, long.MaxValue)]
    public long Every { get; init; } = 250;

    /// <summary>Batches of <c>training.batchSize</c> windows, spread evenly over the validation text: always the same.</summary>
    [Description("Batches of training.batchSize windows, spread evenly over the validation text; the same ones every time.")]
    [Range(1, int.MaxValue)]
    public int Batches { get; init; } = 50;

    /// <summary>Further evaluators, each with its own interval.</summary>
    [Description("What else the model is measured on while it is trained, each as often as it says: perplexity, accuracy, " +
        "answers, translation, passkey, samples.")]
    public IReadOnlyList<ScheduledEvaluatorOptions> Measures { get; init; } = [];
}
