// Shapes: B rows, T positions, C model dimension.
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Spikes;

/// <summary>What one part of a model computed in a row, or the gradients of that.</summary>
/// <param name="Norm">The Euclidean norm of the numbers that are finite.</param>
/// <param name="Largest">The largest absolute value among them.</param>
/// <param name="NonFinite">How many others there are.</param>
internal readonly record struct LayerFigures(double Norm, double Largest, long NonFinite)
{
    // Beyond it squares, as norms compute them, overflow in float32.
    private static readonly double Limit = Math.Sqrt(float.MaxValue);

    /// <summary>Whether numbers are not finite, or so large that their squares are not.</summary>
    [JsonIgnore]
    public bool IsOutOfRange => NonFinite > 0 || Largest > Limit;

    /// <summary>The figures of several rows together.</summary>
    public static LayerFigures Of(IReadOnlyCollection<LayerFigures> rows) => rows.Count == 0 ? default : new(
        Math.Sqrt(rows.Sum(row => row.Norm * row.Norm)), rows.Max(row => row.Largest), rows.Sum(row => row.NonFinite));
}

/// <summary>The outputs of a part and their gradients, row by row.</summary>
internal sealed record LayerMeasurement(
    string Name, LayerKind Kind, IReadOnlyList<LayerFigures> Activations, IReadOnlyList<LayerFigures> Gradients);

/// <summary>Measures what each part of a model computes in one pass over some rows, and the gradients on the way back.</summary>
internal sealed class LayerStatistics : ILayerObserver, IDisposable
{
    private readonly List<Entry> parts = [];

    /// <summary>What the head reads, (B, T, C).</summary>
    public Tensor Hidden { get; private set; } = null!;

    public Tensor Observe(LayerPart part, Tensor output)
    {
        if (part.Kind == LayerKind.Head) return output; // a scalar, which losses of rows say more about
        Entry? entry = parts.Find(each => each.Part == part);
        if (entry is null)
        {
            parts.Add(entry = new(part) { Activations = Figures(output) });
            Hidden?.Dispose();
            Hidden = output.detach().DetachFromDisposeScope();
        }
        return BackwardSignal.At(output, gradient => entry.Gradients = Figures(gradient));
    }

    public IReadOnlyList<LayerMeasurement> Read() =>
        [.. parts.Select(entry => new LayerMeasurement(
            entry.Part.ToString(), entry.Part.Kind, Read(entry.Activations), entry.Gradients is { } gradients ? Read(gradients) : []))];

    public void Dispose()
    {
        Hidden?.Dispose();
        foreach (Entry entry in parts)
        {
            entry.Activations.Dispose();
            entry.Gradients?.Dispose();
        }
    }

    // (B, T, C) → (B, 3), left on the device.
    private static Tensor Figures(Tensor values)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor rows = values.detach().to(ScalarType.Float64).flatten(1); // (B, T·C)
        Tensor finite = rows.isfinite(), numbers = rows.where(finite, 0.0);
        return stack(
            [numbers.square().sum(1).sqrt(), numbers.abs().amax([1]), finite.logical_not().sum(1).to(ScalarType.Float64)], 1)
            .DetachFromDisposeScope();
    }

    private static LayerFigures[] Read(Tensor figures)
    {
        using DisposeScope scope = NewDisposeScope();
        return [.. figures.cpu().data<double>().ToArray().Chunk(3).Select(row => new LayerFigures(row[0], row[1], (long)row[2]))];
    }

    private sealed class Entry(LayerPart part)
    {
        public LayerPart Part => part;

        public required Tensor Activations { get; init; }

        public Tensor? Gradients { get; set; }
    }
}
