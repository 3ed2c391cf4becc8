using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Reporting.Monitoring;

/// <summary>The <c>monitoring</c> section of a configuration: what a run reports, and how often.</summary>
public sealed record MonitoringOptions : IValidated
{
    /// <summary>Steps between two records of the training figures.</summary>
    [Description("Record loss, learning rate, gradient norm and speed every this many steps.")]
    [Range(1, int.MaxValue)]
    public int LogEvery { get; init; } = 10;

    /// <summary>Whether to write TensorBoard event files.</summary>
    [Description("Write TensorBoard event files into the run directory.")]
    public bool TensorBoard { get; init; } = true;

    /// <summary>Prompts that the model continues after every evaluation.</summary>
    [Description("Prompts that the model continues after every evaluation; the texts go to samples/, TensorBoard and the terminal.")]
    public IReadOnlyList<string> Samples { get; init; } = [];

    /// <summary>Steps between two sets of histograms; 0 for none.</summary>
    [Description("Write histograms of weights and gradients to TensorBoard every this many steps; 0 writes none.")]
    [Range(0, int.MaxValue)]
    public int HistogramEvery { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (HistogramEvery > 0 && !TensorBoard)
            yield return new Problem("histogramEvery", $"histogramEvery ({HistogramEvery}) has nowhere to write to while tensorBoard is false; set tensorBoard to true or histogramEvery to 0");
        for (var i = 0; i < Samples.Count; i++)
            if (string.IsNullOrEmpty(Samples[i]))
                yield return new Problem($"samples.{i}", "a prompt must not be empty; give the model at least one character to go on from");
    }
}
