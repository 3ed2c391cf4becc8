using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Numbers as GGUF stores them.</summary>
internal static class GgufData
{
    // A few megabytes at a time: the tensor itself is in memory already.
    private const int RowsAtATime = 1 << 20;

    /// <summary>Writes a float32 tensor.</summary>
    public static void Write(Stream stream, Tensor tensor, GgufType type)
    {
        Tensor numbers = tensor.reshape(-1);
        for (long start = 0; start < numbers.size(0); start += RowsAtATime)
        {
            using Tensor part = numbers.narrow(0, start, Math.Min(RowsAtATime, numbers.size(0) - start)).contiguous();
            WritePart(stream, part, type);
        }
    }

    private static void WritePart(Stream stream, Tensor part, GgufType type)
    {
        using Tensor converted = type switch
        {
            GgufType.Q8_0 => BlockQuantization.Pack(part),
            GgufType.F16 => part.to_type(ScalarType.Float16, copy: true),
            GgufType.BF16 => part.to_type(ScalarType.BFloat16, copy: true),
            _ => part.to_type(ScalarType.Float32, copy: true),
        };
        stream.Write(converted.bytes);
    }
}
