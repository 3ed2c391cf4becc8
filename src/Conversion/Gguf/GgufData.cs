using System.Buffers.Binary;
using static TorchSharp.torch;

namespace Trainer.Conversion.Gguf;

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

    /// <summary>Blocks of 32: d = largest magnitude / 127 as float16, then round(x / d), as ggml's reference rounds.</summary>
    /// <param name="numbers">A multiple of 32.</param>
    /// <returns>34 bytes a block.</returns>
    public static byte[] Quantize(ReadOnlySpan<float> numbers)
    {
        byte[] bytes = new byte[numbers.Length / GgufTypes.BlockLength * GgufTypes.BlockBytes];
        for (int block = 0; block < numbers.Length / GgufTypes.BlockLength; block++)
            Quantize(numbers.Slice(block * GgufTypes.BlockLength, GgufTypes.BlockLength), bytes.AsSpan(block * GgufTypes.BlockBytes, GgufTypes.BlockBytes));
        return bytes;
    }

    private static void Quantize(ReadOnlySpan<float> block, Span<byte> bytes)
    {
        float largest = 0;
        foreach (float number in block) largest = Math.Max(largest, Math.Abs(number));
        float scale = largest / 127, inverse = float.IsFinite(1 / scale) ? 1 / scale : 0; // what is smaller than that is 0 in float16, too
        BinaryPrimitives.WriteHalfLittleEndian(bytes, (Half)scale);
        for (int i = 0; i < block.Length; i++) bytes[2 + i] = unchecked((byte)(sbyte)MathF.Round(block[i] * inverse, MidpointRounding.AwayFromZero));
    }

    private static void WritePart(Stream stream, Tensor part, GgufType type)
    {
        if (type == GgufType.Q8_0)
        {
            stream.Write(Quantize(part.data<float>().ToArray()));
            return;
        }
        ScalarType stored = type switch { GgufType.F16 => ScalarType.Float16, GgufType.BF16 => ScalarType.BFloat16, _ => ScalarType.Float32 };
        using Tensor converted = part.to_type(stored, copy: true);
        stream.Write(converted.bytes);
    }
}
