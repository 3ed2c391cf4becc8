using System.Text.Json.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Training.Spikes;

/// <summary>How large the numbers of a tensor are: of what one part of a model computed in a row, or of gradients.</summary>
/// <param name="Norm">The Euclidean norm of the numbers that are finite.</param>
/// <param name="Largest">The largest absolute value among them.</param>
/// <param name="NonFinite">How many others there are.</param>
internal readonly record struct TensorFigures(double Norm, double Largest, long NonFinite)
{
    // Beyond it squares, as norms compute them, overflow in float32.
    private static readonly double Limit = Math.Sqrt(float.MaxValue);

    // Numbers of a tensor that are measured at once, in float64: memory may be short.
    private const long AtOnce = 1 << 22;

    /// <summary>Whether numbers are not finite, or so large that their squares are not.</summary>
    [JsonIgnore]
    public bool IsOutOfRange => NonFinite > 0 || Largest > Limit;

    /// <summary>The figures of several tensors together, such as rows.</summary>
    public static TensorFigures Of(IReadOnlyCollection<TensorFigures> parts) => parts.Count == 0 ? default : new(
        Math.Sqrt(parts.Sum(part => part.Norm * part.Norm)), parts.Max(part => part.Largest), parts.Sum(part => part.NonFinite));

    /// <summary>The figures of a whole tensor; waits for its device.</summary>
    public static TensorFigures Of(Tensor values)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = values.detach().flatten();
        return Of([.. Enumerable.Range(0, (int)((flat.numel() + AtOnce - 1) / AtOnce)).Select(part =>
        {
            using Tensor rows = MeasureRows(flat.narrow(0, part * AtOnce, Math.Min(AtOnce, flat.numel() - part * AtOnce)).unsqueeze(0));
            return Read(rows)[0];
        })]);
    }

    /// <summary>Measures each row of (B, …): (B, 3), for <see cref="Read"/>, left on the device and owned by no scope.</summary>
    public static Tensor MeasureRows(Tensor values)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor rows = values.detach().to(ScalarType.Float64).flatten(1); // (B, numbers of a row)
        Tensor finite = rows.isfinite(), numbers = rows.where(finite, 0.0);
        return stack(
            [numbers.square().sum(1).sqrt(), numbers.abs().amax([1]), finite.logical_not().sum(1).to(ScalarType.Float64)], 1)
            .DetachFromDisposeScope();
    }

    /// <summary>What <see cref="MeasureRows"/> measured, by row.</summary>
    public static TensorFigures[] Read(Tensor measured)
    {
        using DisposeScope scope = NewDisposeScope();
        return [.. measured.cpu().data<double>().ToArray().Chunk(3).Select(row => new TensorFigures(row[0], row[1], (long)row[2]))];
    }
}
