// Shapes: B rows, T positions, C model dimension.
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Spikes;

/// <summary>The outputs of a part and their gradients, row by row.</summary>
internal sealed record LayerMeasurement(
    string Name, LayerKind Kind, IReadOnlyList<TensorFigures> Activations, IReadOnlyList<TensorFigures> Gradients);

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
            parts.Add(entry = new(part) { Activations = TensorFigures.MeasureRows(output) });
            Hidden?.Dispose();
            Hidden = output.detach().DetachFromDisposeScope();
        }
        return BackwardSignal.At(output, gradient => entry.Gradients = TensorFigures.MeasureRows(gradient));
    }

    public IReadOnlyList<LayerMeasurement> Read() =>
        [.. parts.Select(entry => new LayerMeasurement(
            entry.Part.ToString(), entry.Part.Kind, TensorFigures.Read(entry.Activations),
            entry.Gradients is { } gradients ? TensorFigures.Read(gradients) : []))];

    public void Dispose()
    {
        Hidden?.Dispose();
        foreach (Entry entry in parts)
        {
            entry.Activations.Dispose();
            entry.Gradients?.Dispose();
        }
    }

    private sealed class Entry(LayerPart part)
    {
        public LayerPart Part => part;

        public required Tensor Activations { get; init; }

        public Tensor? Gradients { get; set; }
    }
}
