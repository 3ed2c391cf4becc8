using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>A schedule that falls from the peak to a minimum.</summary>
public abstract record DecayingSchedule : ScheduleOptions
{
    /// <summary>Where the learning rate ends.</summary>
    [Description("The learning rate at the end of the decay.")]
    [Range(0.0, double.MaxValue)]
    public double MinimumLearningRate { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> ValidateFor(long steps, double peak)
    {
        if (MinimumLearningRate > peak)
            yield return new("minimumLearningRate", $"minimumLearningRate ({MinimumLearningRate}) must be at most optimizer.learningRate ({peak})");
    }

    /// <summary>The learning rate part-way between the peak (1) and the minimum (0).</summary>
    /// <param name="share">How much of the way from the minimum to the peak, 0 … 1.</param>
    /// <param name="peak">The optimizer's <c>learningRate</c>.</param>
    /// <returns>The learning rate.</returns>
    protected double Between(double share, double peak) => MinimumLearningRate + share * (peak - MinimumLearningRate);
}
