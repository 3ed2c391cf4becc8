using TorchSharp;
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Batches as tensors.</summary>
public static class BatchTensors
{
    /// <summary>Copies a batch to a device.</summary>
    /// <param name="batch">Rows × Columns token ids, with the documents they belong to and what an encoder reads, where there are any.</param>
    /// <param name="device">Where to.</param>
    /// <returns>What the model reads, and its targets (B, T) int64, in the current dispose scope.</returns>
    public static (ModelInput Input, Tensor Targets) ToTensors(this Batch batch, Device device)
    {
        Tensor Rows(long[] values) => ToTensor(values, batch.Rows, batch.Columns, device);
        ModelInput input = new(Rows(batch.Inputs))
        {
            Positions = batch.Positions is { } positions ? Rows(positions) : null,
            PositionLimit = batch.PositionLimit,
            Documents = batch.Documents is { } documents ? Rows(documents) : null,
            Source = batch.Source is { } source ? source.ToInput(device) : null,
        };
        return (input, Rows(batch.Targets));
    }

    /// <summary>Copies what an encoder reads to a device.</summary>
    /// <param name="source">Rows of token ids, filled up to their lengths.</param>
    /// <param name="device">Where to.</param>
    /// <returns>Tokens (B, S), and which of them are padding where any are: full rows take attention's fastest kernel.</returns>
    public static ModelInput ToInput(this SourceRows source, Device device) => new(ToTensor(source.Tokens, source.Lengths.Length, source.Columns, device))
    {
        Documents = source.Lengths.All(length => length == source.Columns)
            ? null
            : ToTensor(Padding(source), source.Lengths.Length, source.Columns, device),
    };

    /// <summary>0 at filled places, −1 behind them.</summary>
    private static long[] Padding(SourceRows source)
    {
        var ids = new long[source.Tokens.Length];
        for (int row = 0; row < source.Lengths.Length; row++)
            Array.Fill(ids, -1, row * source.Columns + source.Lengths[row], source.Columns - source.Lengths[row]);
        return ids;
    }

    private static Tensor ToTensor(long[] values, int rows, int columns, Device device)
    {
        Tensor host = tensor(values, [rows, columns], dtype: ScalarType.Int64);
        if (device.type == DeviceType.CPU) return host;
        if (device.type != DeviceType.CUDA) return host.to(device, disposeAfter: true);
        // Without waiting: from page-locked memory the copy lines up behind the work before it, so the host can go on preparing the
        // next step. libtorch keeps that memory from being used again until the copy is done.
        using Tensor locked = host.pin_memory();
        host.Dispose();
        return locked.to(device, non_blocking: true);
    }
}
