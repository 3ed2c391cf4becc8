using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>What the last step measured, and how many steps went wrong; kept on the device until someone asks.</summary>
/// <remarks>Whether to skip a step is decided where its gradients are: no step waits for the host.</remarks>
internal sealed class StepFigures(Device device) : IDisposable
{
    // loss, gradient norm, steps skipped in all, steps skipped in a row
    private readonly Tensor figures = zeros([4], dtype: ScalarType.Float64, device: device).DetachFromDisposeScope();

    /// <summary>Takes in a step's loss and gradient norm, both scalars on the device.</summary>
    /// <returns>A float32 scalar: 1 where either is not finite, so that the update has to be skipped, else 0.</returns>
    public Tensor Observe(Tensor loss, Tensor gradientNorm)
    {
        using IDisposable quiet = no_grad();
        // Both are 0 or more, or NaN: their sum is finite only where both are.
        Tensor bad = (loss + gradientNorm).isfinite().logical_not().to(ScalarType.Float64);
        Tensor skipped = figures.select(0, 2) + bad;
        Tensor inARow = (figures.select(0, 3) + bad) * bad;
        figures.copy_(stack([loss.to(ScalarType.Float64), gradientNorm.to(ScalarType.Float64), skipped, inARow]));
        return bad.to(ScalarType.Float32);
    }

    /// <summary>Reads the figures, waiting for the device.</summary>
    public Reading Read()
    {
        using DisposeScope scope = NewDisposeScope();
        double[] values = figures.cpu().data<double>().ToArray();
        return new Reading(values[0], values[1], (long)values[2], (long)values[3]);
    }

    /// <summary>Continues counts of an earlier run.</summary>
    public void Restore(long skipped, long inARow)
    {
        using DisposeScope scope = NewDisposeScope();
        figures.copy_(tensor(new double[] { 0, 0, skipped, inARow }));
    }

    /// <inheritdoc/>
    public void Dispose() => figures.Dispose();

    /// <summary>The figures on the host.</summary>
    /// <param name="Loss">The last step's loss, raw: NaN where it went wrong.</param>
    /// <param name="GradientNorm">The norm of its gradients before clipping.</param>
    /// <param name="Skipped">Steps skipped since the run began.</param>
    /// <param name="InARow">Steps skipped in a row up to the last one.</param>
    public sealed record Reading(double Loss, double GradientNorm, long Skipped, long InARow);
}
