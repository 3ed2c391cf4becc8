using Trainer.Data.Batches;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Copies batches to tensors.</summary>
public static class BatchTensors
{
    /// <summary>Copies a batch to a device: the model's input, and targets (B, T), int64, or float32 where they are values, in the current
    /// dispose scope.</summary>
    public static (ModelInput Input, Tensor Targets) ToTensors(this Batch batch, Device device)
    {
        if (batch.Values is { } values)
            return (ModelInput.OfValues(ToTensor(values, batch.Rows, device)) with
            {
                Variables = batch.Variables is { } variables ? ToTensor(variables, batch.Rows, 1, device).squeeze(1) : null,
            }, batch.TargetValues is { } numbers
                ? ToTensor(numbers, batch.Rows, device)
                : ToTensor(batch.Targets, batch.Rows, batch.Columns, device));
        Tensor Rows(long[] values) => ToTensor(values, batch.Rows, batch.Columns, device);
        ModelInput input = new(Rows(batch.Inputs))
        {
            Positions = batch.Positions is { } positions ? Rows(positions) : null,
            PositionLimit = batch.PositionLimit,
            Documents = batch.Documents is { } documents ? Rows(documents) : null,
            Lengths = batch.Lengths is { } lengths && lengths.Any(length => length < batch.Columns) ? lengths : null,
            Source = batch.Source is { } source ? source.ToInput(device) : null,
        };
        return (input, Rows(batch.Targets));
    }

    /// <summary>Tokens (B, S). Padding is marked only if there is any: full rows take attention's fastest kernel.</summary>
    internal static ModelInput ToInput(this SourceRows source, Device device) =>
        new(ToTensor(source.Tokens, source.Lengths.Length, source.Columns, device))
    {
        Documents = source.Lengths.All(length => length == source.Columns)
            ? null
            : ToTensor(Padding(source), source.Lengths.Length, source.Columns, device),
    };

    /// <summary>0 for tokens, −1 for padding.</summary>
    private static long[] Padding(SourceRows source)
    {
        var ids = new long[source.Tokens.Length];
        for (int row = 0; row < source.Lengths.Length; row++)
            Array.Fill(ids, -1, row * source.Columns + source.Lengths[row], source.Columns - source.Lengths[row]);
        return ids;
    }

    private static Tensor ToTensor(float[] values, int rows, Device device) => // (rows, columns)
        tensor(values, [rows, values.Length / Math.Max(1, rows)], dtype: ScalarType.Float32).ToDevice(device);

    private static Tensor ToTensor(long[] values, int rows, int columns, Device device) =>
        tensor(values, [rows, columns], dtype: ScalarType.Int64).ToDevice(device);
}
