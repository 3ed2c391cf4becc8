using TorchSharp;
using Trainer.Text;
using static TorchSharp.torch;

namespace Trainer.Evaluation;

/// <summary>Batches as tensors.</summary>
public static class BatchTensors
{
    /// <summary>Copies a batch to a device.</summary>
    /// <param name="batch">Rows × Columns token ids.</param>
    /// <param name="device">Where to.</param>
    /// <returns>Inputs and targets, both (B, T) int64, in the current dispose scope.</returns>
    /// <exception cref="NotSupportedException">The batch has more than these two tell: documents that must not see each other, or an encoder's rows.</exception>
    public static (Tensor Inputs, Tensor Targets) ToTensors(this Batch batch, Device device)
    {
        if (batch.Documents is not null || batch.Source is not null)
            throw new NotSupportedException("inputs and targets alone would let documents see each other, or leave out what an encoder reads");
        return (ToTensor(batch.Inputs, batch, device), ToTensor(batch.Targets, batch, device));
    }

    private static Tensor ToTensor(long[] values, Batch batch, Device device)
    {
        Tensor host = tensor(values, [batch.Rows, batch.Columns], dtype: ScalarType.Int64);
        return device.type == DeviceType.CPU ? host : host.to(device, disposeAfter: true);
    }
}
