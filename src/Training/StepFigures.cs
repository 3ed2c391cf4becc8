using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Loss, norm and skipped steps, on the device until they are read: no step waits for the host.</summary>
internal sealed class StepFigures(Device device, int further = 0) : IDisposable
{
    // loss, gradient norm, steps skipped in all, steps skipped in a row, and what the loss reports besides
    private readonly Tensor figures = zeros([4 + further], dtype: ScalarType.Float64, device: device).DetachFromDisposeScope();

    /// <summary>Takes what is on the device; returns a float32 scalar, 1 where loss or norm is not finite and the update is skipped.</summary>
    public Tensor Record(StepLoss step)
    {
        using IDisposable quiet = no_grad();
        (Tensor loss, Tensor gradientNorm, Tensor others) = step;
        // A norm is 0 or more, or NaN, and no loss is minus infinity: their sum is finite only where both are.
        Tensor bad = (loss + gradientNorm).isfinite().logical_not().to(ScalarType.Float64);
        Tensor skipped = figures.select(0, 2) + bad;
        Tensor inARow = (figures.select(0, 3) + bad) * bad;
        Tensor known = stack([loss.to(ScalarType.Float64), gradientNorm.to(ScalarType.Float64), skipped, inARow]);
        figures.copy_(further == 0 ? known : cat([known, others.to(ScalarType.Float64)]));
        return bad.to(ScalarType.Float32);
    }

    public Reading Read()
    {
        using DisposeScope scope = NewDisposeScope();
        double[] values = figures.cpu().data<double>().ToArray();
        return new Reading(values[0], values[1], (long)values[2], (long)values[3], values[4..]);
    }

    public void Restore(long skipped, long inARow)
    {
        using DisposeScope scope = NewDisposeScope();
        figures.zero_().narrow(0, 2, 2).copy_(tensor(new double[] { skipped, inARow }));
    }

    public void Dispose() => figures.Dispose();

    /// <summary>The last step's loss (NaN where it went wrong), norm before clipping, skipped steps in all and in a row, and the further
    /// figures of its loss.</summary>
    public sealed record Reading(double Loss, double GradientNorm, long Skipped, long InARow, IReadOnlyList<double> Further);
}
