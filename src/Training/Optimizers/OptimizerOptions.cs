using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using TorchSharp.Modules;

namespace Trainer.Training;

/// <summary>How gradients change the weights. A new optimizer is a derived record in its own file, and one line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AdamWOptions), "adamw")]
public abstract record OptimizerOptions
{
    /// <summary>The learning rate at the peak of the schedule.</summary>
    [Description("The learning rate at the peak of the schedule.")]
    [Range(double.Epsilon, double.MaxValue)]
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Builds the optimizer for a model's parameters, with fresh state.</summary>
    /// <param name="parameters">All trainable parameters with their names, each once.</param>
    /// <returns>The optimizer; the caller disposes it.</returns>
    public abstract Optimizer Build(IReadOnlyList<(string Name, Parameter Value)> parameters);
}
