using System.Globalization;
using Trainer.Checkpoints;

namespace Trainer.Training.Spikes;

/// <summary>Tells spikes from other steps by the last steps that were none. All ranks judge the same figures, and alike.</summary>
internal sealed class SpikeDetector(SpikeOptions options)
{
    private readonly List<double> losses = [], norms = [];

    /// <summary>Spikes so far, and the last ones without a step between that was taken.</summary>
    public (long Count, long InARow) Skipped { get; private set; }

    /// <summary>Steps that mean and deviation are computed of, and how many are needed before anything is a spike.</summary>
    private int Needed => (options.Window + 1) / 2;

    /// <summary>Judges a step, and remembers it where it is no spike. One that is not finite is skipped in any case, and is none.</summary>
    public Spike? Judge(double loss, double gradientNorm)
    {
        if (!double.IsFinite(loss) || !double.IsFinite(gradientNorm)) return null;
        if ((Above("loss", loss, losses) ?? Above("gradient norm", gradientNorm, norms)) is { } spike)
        {
            Skipped = (Skipped.Count + 1, Skipped.InARow + 1);
            return spike;
        }
        Skipped = Skipped with { InARow = 0 };
        Remember(losses, loss);
        Remember(norms, gradientNorm);
        return null;
    }

    /// <summary>What a checkpoint holds of it.</summary>
    public SpikeWindow Capture() => new([.. losses], [.. norms], Skipped.Count, Skipped.InARow);

    /// <summary>Goes on from a checkpoint; from an old one, or one of a run that did not look for spikes, with an empty window.</summary>
    public void Restore(SpikeWindow? saved)
    {
        losses.Clear();
        norms.Clear();
        losses.AddRange(saved?.Losses.TakeLast(options.Window) ?? []);
        norms.AddRange(saved?.GradientNorms.TakeLast(options.Window) ?? []);
        Skipped = (saved?.Skipped ?? 0, saved?.SkippedInARow ?? 0);
    }

    private Spike? Above(string figure, double value, List<double> before)
    {
        if (before.Count < Needed) return null;
        double mean = before.Average();
        double deviation = Math.Sqrt(before.Sum(each => (each - mean) * (each - mean)) / (before.Count - 1));
        return value > mean + options.Deviations * deviation ? new(figure, value, mean, deviation, before.Count) : null;
    }

    private void Remember(List<double> values, double value)
    {
        if (values.Count == options.Window) values.RemoveAt(0);
        values.Add(value);
    }
}

/// <summary>Why a step is a spike: its <c>loss</c> or <c>gradient norm</c>, and what the last steps had.</summary>
internal sealed record Spike(string Figure, double Value, double Mean, double Deviation, int Steps)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"its {Figure} of {Value:G5} lies {(Value - Mean) / Deviation:F1} standard deviations above that of the {Steps} steps before " +
        $"({Mean:G5}, deviation {Deviation:G3})");
}
