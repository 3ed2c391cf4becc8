using TorchSharp;

namespace Trainer.Checkpoints;

/// <summary>A tensor that is made when it is written, so that a file larger than memory allows can be made of them.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">Type of its elements.</param>
/// <param name="Shape">Extent of each dimension.</param>
/// <param name="Read">Makes it, with this type and shape; called once, and the tensor is disposed of after writing.</param>
public sealed record PendingTensor(string Name, torch.ScalarType Type, IReadOnlyList<long> Shape, Func<torch.Tensor> Read)
{
    /// <summary>Bytes of its data.</summary>
    public long Bytes => Shape.Aggregate((long)SafetensorsType.SizeOf(Type), (product, extent) => product * extent);
}
