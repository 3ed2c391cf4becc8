using System.Globalization;
using Trainer.Checkpoints;

namespace Trainer.Training.Spikes;

/// <summary>Tells spikes from other steps by the steps before them. All ranks judge the same figures, and alike.</summary>
/// <remarks>A spike is remembered as the least that would have been one. So one does not hide the next, and a level that stays is followed:
/// weights that are not updated have the same gradients at the next step, and nothing but the window can change.</remarks>
internal sealed class SpikeDetector(SpikeOptions options)
{
    private readonly List<double> losses = [], norms = [];

    /// <summary>Spikes so far.</summary>
    public long Skipped { get; private set; }

    /// <summary>Judges a step, and remembers it. One that is not finite is skipped in any case, and is no spike.</summary>
    public Spike? Judge(double loss, double gradientNorm)
    {
        if (!double.IsFinite(loss) || !double.IsFinite(gradientNorm)) return null;
        Spike? inLoss = Judge("loss", loss, losses), inNorm = Judge("gradient norm", gradientNorm, norms), spike = inLoss ?? inNorm;
        if (spike is not null) Skipped++;
        return spike;
    }

    /// <summary>What a checkpoint holds of it.</summary>
    public SpikeWindow Capture() => new([.. losses], [.. norms], Skipped);

    /// <summary>Goes on from a checkpoint; from an old one, or one of a run that did not look for spikes, with an empty window.</summary>
    public void Restore(SpikeWindow? saved)
    {
        losses.Clear();
        norms.Clear();
        losses.AddRange(saved?.Losses.TakeLast(options.Window) ?? []);
        norms.AddRange(saved?.GradientNorms.TakeLast(options.Window) ?? []);
        Skipped = saved?.Skipped ?? 0;
    }

    private Spike? Judge(string figure, double value, List<double> before)
    {
        Spike? spike = null;
        if (before.Count >= (options.Window + 1) / 2)
        {
            double mean = before.Average();
            double deviation = Math.Sqrt(before.Sum(each => (each - mean) * (each - mean)) / (before.Count - 1));
            double bound = mean + options.Deviations * deviation;
            if (value > bound && deviation > 0)
            {
                spike = new(figure, value, mean, deviation, before.Count);
                value = bound;
            }
        }
        if (before.Count == options.Window) before.RemoveAt(0);
        before.Add(value);
        return spike;
    }
}

/// <summary>Why a step is a spike: its <c>loss</c> or <c>gradient norm</c>, and what the last steps had.</summary>
internal sealed record Spike(string Figure, double Value, double Mean, double Deviation, int Steps)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"its {Figure} of {Value:G5} lies {(Value - Mean) / Deviation:F1} standard deviations above that of the {Steps} steps before " +
        $"({Mean:G5}, deviation {Deviation:G3})");
}
