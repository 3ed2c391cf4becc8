using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>What every group asks of the tensors that it is given.</summary>
internal static unsafe class CollectiveArguments
{
    private const long Most = int.MaxValue; // MPI counts elements in int.

    /// <summary>Refuses types that no library moves, strides and sizes.</summary>
    /// <exception cref="ArgumentException">One of them.</exception>
    public static void Check(Tensor tensor)
    {
        if (tensor.dtype is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float64 or ScalarType.Int64 or ScalarType.Byte))
            throw new ArgumentException(
                $"Tensors of {tensor.dtype} are not exchanged between processes; Float32, BFloat16, Float64, Int64 and Byte are.");
        if (!tensor.is_contiguous())
            throw new ArgumentException($"A tensor of shape ({string.Join(", ", tensor.shape)}) and strides "
                + $"({string.Join(", ", tensor.stride())}) is not contiguous; exchange a contiguous copy.");
        if (tensor.numel() > Most)
            throw new ArgumentException(
                $"A tensor of {tensor.numel():N0} elements is too large for one collective; {Most:N0} are allowed.");
    }

    /// <summary>The same, of a tensor that is to be summed.</summary>
    /// <exception cref="ArgumentException">One of them, or bytes.</exception>
    public static void CheckSum(Tensor tensor)
    {
        Check(tensor);
        if (tensor.dtype == ScalarType.Byte) throw new ArgumentException("Bytes are not summed; convert them to Int64.");
    }

    /// <summary>The same, of a tensor that MPI reads.</summary>
    /// <exception cref="ArgumentException">It is not in the memory of the host.</exception>
    public static void CheckHost(Tensor tensor)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU)
            throw new ArgumentException($"A tensor on {tensor.device} cannot be exchanged by MPI; copy it to the CPU, or use NCCL.");
    }

    /// <summary>Whether the part is the rank's own piece of the whole, and not memory of its own.</summary>
    /// <exception cref="ArgumentException">Types or sizes do not fit, or they overlap otherwise.</exception>
    public static bool CheckParts(Tensor part, Tensor whole, int rank, int size)
    {
        Check(part);
        Check(whole);
        if (part.dtype != whole.dtype || part.numel() * size != whole.numel())
            throw new ArgumentException($"A whole of {whole.numel():N0} {whole.dtype} does not consist of {size} parts of "
                + $"{part.numel():N0} {part.dtype}.");
        if (part.device_type != whole.device_type)
            throw new ArgumentException($"A part on {part.device} and a whole on {whole.device} are on different devices.");
        long bytes = part.numel() * part.element_size();
        byte* first = part.DataPointer, all = whole.DataPointer;
        if (bytes == 0 || first == all + rank * bytes) return true;
        if (first < all + size * bytes && all < first + bytes)
            throw new ArgumentException($"A part may be piece {rank} of the whole, where this rank's data stand, and must not overlap it "
                + "elsewhere.");
        return false;
    }

    public static void CheckRoot(int root, int size)
    {
        if (root < 0 || root >= size) throw new ArgumentException($"There is no rank {root}: the ranks are 0 to {size - 1}.");
    }

    /// <summary>Such as <c>sum of 1,000 Float32</c>.</summary>
    public static string Describe(string what, Tensor tensor) => $"{what} of {tensor.numel():N0} {tensor.dtype}";
}
