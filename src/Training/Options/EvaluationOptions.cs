using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Evaluation.Evaluators;

namespace Trainer.Training;

/// <summary>When the validation loss is measured, and on how much; and what else is measured.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Steps between evaluations; 0: only after the last step.</summary>
    [Description("Steps between evaluations; 0: only after the last step.")]
    [Range(0, long.MaxValue)]
    public long Every { get; init; } = 250;

    /// <summary>Batches of <c>training.batchSize</c> windows, spread evenly over the validation text: the same ones every time.</summary>
    [Description("Batches of training.batchSize windows, spread evenly over the validation text; the same ones every time.")]
    [Range(1, int.MaxValue)]
    public int Batches { get; init; } = 50;

    /// <summary>What else the model is measured on, each as often as it says.</summary>
    [Description("What else the model is measured on while it is trained, each as often as it says: perplexity, accuracy, translation, passkey, samples.")]
    public IReadOnlyList<MeasureOptions> Measures { get; init; } = [];
}
