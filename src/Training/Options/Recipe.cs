using System.ComponentModel;
using Trainer.Checkpoints;
using Trainer.Checkpoints.GroupedQuery;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Evaluation.Evaluators;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training;

/// <summary>A whole run as configuration: what is trained, on what, and how. Saved with the run and inside every checkpoint.</summary>
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

    /// <summary>How text becomes tokens.</summary>
    [Description("How text becomes tokens.")]
    public required TokenizerOptions Tokenizer { get; init; }

    /// <summary>The texts to train and validate on.</summary>
    [Description("The texts to train and validate on.")]
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

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (RunName.Complaint(Name) is { } complaint) yield return new("name", complaint);
        foreach (Problem problem in Schedule.ValidateFor(Training.Steps, Optimizer.LearningRate))
            yield return problem with { Path = $"schedule.{problem.Path}" };
        foreach (Problem problem in ObjectiveRules.Check(Model, Data)) yield return problem;
        foreach (Problem problem in MeasureRules.Check(Evaluation.Measures, Model, Data)) yield return problem;
        if (Initialize?.Convert is { KeyValueHeads: var heads })
            foreach (Problem problem in GroupedQueryModel.Problems(Model, heads, "initialize.convert.keyValueHeads")) yield return problem;
    }

    /// <summary>Reads a <c>config.json</c> as a run or checkpoint keeps it: the environment plays no part.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ConfigurationException">It is not one; everything that is wrong is listed.</exception>
    public static Recipe Load(string path) => ConfigurationJson.Deserialize<Recipe>(File.ReadAllText(path), path);

    /// <summary>The recipe with the model that is trained, which <c>initialize.convert</c> may make another than the one that is written.</summary>
    /// <returns>Itself where nothing is converted; the resolved recipe of a resolved one is the same.</returns>
    public Recipe Resolve() => Initialize?.Convert is { KeyValueHeads: var heads } ? this with { Model = GroupedQueryModel.Apply(Model, heads) } : this;
}
