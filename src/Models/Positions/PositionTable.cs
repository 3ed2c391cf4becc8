// Shapes: B batch, T positions, W width of a row.
using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>Rows computed once from positions, kept on the device that uses them, and extended when a longer sequence comes.</summary>
/// <remarks>Rows are computed in float64 on the CPU, so that every device and every length sees the same float32 numbers. Safe for several threads.</remarks>
/// <param name="rows">Makes the rows (T, W) of the positions given as float64 (T, 1).</param>
/// <param name="length">Rows to start with.</param>
internal sealed class PositionTable(Func<Tensor, Tensor> rows, int length) : IDisposable
{
    private readonly Lock gate = new();
    private Tensor? table;
    private (DeviceType, int)? home;

    /// <summary>The rows of the tokens of a pass: float32 (T, W), a view, or (B, T, W) where each token has a position of its own.</summary>
    public Tensor Rows(ForwardPass pass, int count, Device device) => pass.Positions is { } positions
        ? Functional.Embedding(positions, Rows(0, pass.Reach, device))
        : Rows(pass.Offset, count, device);

    /// <summary>The rows of <paramref name="count"/> positions from <paramref name="start"/>: float32 (T, W), a view.</summary>
    public Tensor Rows(int start, int count, Device device)
    {
        lock (gate)
        {
            if (table is null || start + count > length || device.Key != home)
                Rebuild(start + count, device);
            return table!.narrow(0, start, count);
        }
    }

    public void Dispose() => table?.Dispose();

    private void Rebuild(int needed, Device device)
    {
        table?.Dispose();
        home = device.Key;
        while (length < needed) length *= 2;
        table = Constants.Own(() => rows(arange(0, length, ScalarType.Float64).unsqueeze(1)).to_type(ScalarType.Float32).to(device));
    }
}
