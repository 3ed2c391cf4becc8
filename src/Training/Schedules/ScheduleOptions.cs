using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>How the learning rate moves over the steps of a run. The record is the schedule: a pure function of the step.</summary>
/// <remarks>Warm-up follows nanoGPT exactly: step s of w warm-up steps (both counted from 0) trains with
/// peak · (s + 1) / (w + 1), so that the first step already moves and step w is the first at the peak.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CosineSchedule), "cosine")]
[JsonDerivedType(typeof(LinearSchedule), "linear")]
[JsonDerivedType(typeof(ConstantSchedule), "constant")]
[JsonDerivedType(typeof(WarmupStableDecaySchedule), "warmup-stable-decay")]
public abstract record ScheduleOptions
{
    /// <summary>Steps over which the learning rate rises linearly to its peak; 0 for none.</summary>
    [Description("Steps over which the learning rate rises linearly to its peak; 0 for none.")]
    [Range(0, int.MaxValue)]
    public int WarmupSteps { get; init; }

    /// <summary>The learning rate of a step.</summary>
    /// <param name="step">The step, counted from 0.</param>
    /// <param name="steps">Steps of the whole run.</param>
    /// <param name="peak">The optimizer's <c>learningRate</c>.</param>
    /// <returns>The learning rate to train this step with.</returns>
    public double LearningRate(long step, long steps, double peak) =>
        step < WarmupSteps ? peak * (step + 1) / (WarmupSteps + 1) : AfterWarmup(step, steps, peak);

    /// <summary>Rules that need the rest of the recipe.</summary>
    /// <param name="steps">Steps of the whole run.</param>
    /// <param name="peak">The optimizer's <c>learningRate</c>.</param>
    /// <returns>Problems with paths relative to this record.</returns>
    /// <remarks>A run shorter than its warm-up is allowed, so that a recipe can be tried with a few steps; the run says so.</remarks>
    public virtual IEnumerable<Problem> ValidateFor(long steps, double peak) => [];

    /// <summary>The learning rate of a step at or past the end of the warm-up.</summary>
    /// <param name="step">The step, counted from 0, at least <see cref="WarmupSteps"/>.</param>
    /// <param name="steps">Steps of the whole run.</param>
    /// <param name="peak">The optimizer's <c>learningRate</c>.</param>
    /// <returns>The learning rate to train this step with.</returns>
    protected abstract double AfterWarmup(long step, long steps, double peak);
}
