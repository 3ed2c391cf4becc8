// Shapes: numbers (…, K) float32, blocks (…, K / 32 · 34) int8.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Matrices in 8 bits on the CPU, GGUF's Q8_0: each 32 consecutive elements of a row as one float16 scale and 32
/// integers.</summary>
/// <remarks>int8 (…, K / 32 · 34), for inference: there are no gradients. The error is at most half a step, 1/254 of a block's largest
/// magnitude, plus the rounding of the scale.</remarks>
public static unsafe class BlockQuantization
{
    /// <summary>Elements of a block.</summary>
    public const int BlockLength = 32;

    /// <summary>Bytes of a block.</summary>
    public const int BlockBytes = 34;

    // Up to so many rows are multiplied with the blocks themselves, in the time of reading them; for more, float32 products are faster.
    private const int FewRows = 8;

    // Elements unpacked at once for a float32 product, 1 MiB: they stay in the cache.
    private const long UnpackedAtOnce = 1 << 18;

    // Fewest blocks worth a second thread.
    private const long Grain = 1024;

    /// <summary>Whether a row of so many elements is whole blocks.</summary>
    public static bool Divides(long width) => width % BlockLength == 0;

    /// <summary>Bytes of so many elements, a multiple of 32.</summary>
    public static long Bytes(long numbers) => numbers / BlockLength * BlockBytes;

    /// <summary>Quantizes float32 (…, K): a block's scale is its largest magnitude / 127; x / scale is rounded to nearest, halves away
    /// from zero, as in ggml's reference.</summary>
    /// <exception cref="TorchException">Another type or device, or 32 does not divide K.</exception>
    public static Tensor Pack(Tensor numbers)
    {
        if (numbers.device_type != DeviceType.CPU || numbers.dtype != ScalarType.Float32 || numbers.dim() == 0
            || !Divides(numbers.size(-1)))
            throw new TorchException(
                $"rows that become blocks are float32 on the CPU and multiples of {BlockLength} long, not {Description(numbers)}");
        using IDisposable unrecorded = no_grad();
        using Tensor from = numbers.contiguous();
        Tensor blocks = empty([.. from.shape.AsSpan(0..^1), Bytes(from.size(-1))], ScalarType.Int8);
        float* x = (float*)from.DataPointer;
        byte* to = blocks.DataPointer;
        ParallelFor.Run(from.numel() / BlockLength, Grain, (begin, end) =>
        {
            for (long i = begin; i < end; i++) Pack(x + i * BlockLength, to + i * BlockBytes);
        });
        return blocks;
    }

    /// <summary>Dequantizes int8 (…, K / 32 · 34) to float32 (…, K).</summary>
    /// <exception cref="TorchException">These are not blocks.</exception>
    public static Tensor Unpack(Tensor blocks)
    {
        using IDisposable unrecorded = no_grad();
        using Tensor from = Checked(blocks);
        Tensor numbers = empty([.. from.shape.AsSpan(0..^1), Width(from)], ScalarType.Float32);
        Unpack(from.DataPointer, (float*)numbers.DataPointer, numbers.numel() / BlockLength);
        return numbers;
    }

    /// <summary>x·weightᵀ + bias in float32: (…, K), blocks of (N, K), (N) → (…, N).</summary>
    /// <exception cref="TorchException">Shapes, types or devices do not fit, or x needs a gradient.</exception>
    public static Tensor Linear(Tensor x, Tensor blocks, Tensor? bias = null)
    {
        using Tensor matrix = Checked(blocks);
        if (matrix.dim() != 2 || x.device_type != DeviceType.CPU || x.dtype != ScalarType.Float32 || x.dim() == 0
            || x.size(-1) != Width(matrix)
            || (bias is not null && (bias.dtype != ScalarType.Float32 || bias.numel() != matrix.size(0))))
        {
            throw new TorchException(
                $"blocks {matrix.ShapeText} take rows of {Width(matrix)} float32 numbers on the CPU, " +
                $"not {Description(x)}");
        }
        if (is_grad_enabled() && x.requires_grad) throw new TorchException("a matrix in blocks has no backward pass: it is for inference");
        using IDisposable unrecorded = no_grad();
        using Tensor rows = x.contiguous();
        using Tensor? shift = bias?.contiguous();
        long inputs = x.size(-1), outputs = matrix.size(0), count = x.numel() / Math.Max(1, inputs);
        Tensor result = empty([.. x.shape.AsSpan(0..^1), outputs], ScalarType.Float32);
        if (count <= FewRows)
        {
            nint biasPointer = (nint)(shift is null ? null : shift.DataPointer);
            VectorMatrix weight = new((nint)matrix.DataPointer, ScalarType.Int8, outputs, inputs, biasPointer);
            MatrixVectorProduct.Multiply(weight, (float*)rows.DataPointer, (float*)result.DataPointer, count);
            return result;
        }
        using Tensor flat = rows.view(count, inputs), sums = result.view(count, outputs);
        MultiplyUnpacked(sums, flat, matrix);
        if (shift is not null) sums.add_(shift);
        return result;
    }

    /// <summary>A block's scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Scale(byte* block)
    {
        uint bits = *(ushort*)block, magnitude = bits & 0x7FFF;
        // Moves the exponent to float32's place and bias. Not a call, which would spill the vectors of a loop.
        if (bits - 0x0400 < 0x7800) return BitConverter.UInt32BitsToSingle((bits << 13) + ((127 - 15) << 23));
        // Infinite or NaN; negative; or subnormal: as an integer, because some threads flush subnormal float32 numbers to 0.
        uint widened = magnitude >= 0x7C00 ? 0x7F800000 | magnitude << 13
            : magnitude >= 0x0400 ? (magnitude << 13) + ((127 - 15) << 23)
            : BitConverter.SingleToUInt32Bits((int)magnitude * (1f / (1 << 24)));
        return BitConverter.UInt32BitsToSingle(widened | (bits & 0x8000) << 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Load16(sbyte* from)
    {
        if (Avx512F.IsSupported) return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(from)));
        return Vector512.Create(Load8(from), Load8(from + 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Load8(sbyte* from)
    {
        if (Avx2.IsSupported) return Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(from));
        return Vector256.Create(Load4(from), Load4(from + 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<float> Load4(sbyte* from) =>
        Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(int*)from).AsSByte())));

    private static void Pack(float* x, byte* block)
    {
        Vector256<float> a = Vector256.Load(x), b = Vector256.Load(x + 8), c = Vector256.Load(x + 16), d = Vector256.Load(x + 24);
        Vector256<float> largest = Vector256.Max(
            Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
        float scale = Lanes8.Max(new(largest)) / 127, inverse = 1 / scale;
        if (!float.IsFinite(inverse)) inverse = 0; // such a scale is 0 in float16, too
        *(ushort*)block = BitConverter.HalfToUInt16Bits((Half)scale);
        Vector256<short> low = Vector256.Narrow(Rounded(a, inverse), Rounded(b, inverse));
        Vector256<short> high = Vector256.Narrow(Rounded(c, inverse), Rounded(d, inverse));
        Vector256.Narrow(low, high).Store((sbyte*)block + 2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Rounded(Vector256<float> x, float inverse)
    {
        Vector256<float> scaled = x * inverse;
        // Just below one half, so that the largest fraction below a half is not rounded up.
        return Vector256.ConvertToInt32(scaled + Vector256.CopySign(Vector256.Create(0.49999997f), scaled));
    }

    internal static void Unpack(byte* blocks, float* numbers, long count) => ParallelFor.Run(count, Grain, (begin, end) =>
    {
        for (long i = begin; i < end; i++)
        {
            sbyte* from = (sbyte*)blocks + i * BlockBytes + 2;
            float* to = numbers + i * BlockLength;
            float scale = Scale((byte*)from - 2);
            for (int j = 0; j < BlockLength; j += 8) (Load8(from + j) * scale).Store(to + j);
        }
    });

    // rows (M, K) · blocks (N, K)ᵀ → result (M, N)
    private static void MultiplyUnpacked(Tensor result, Tensor rows, Tensor blocks)
    {
        long outputs = blocks.size(0), width = rows.size(1);
        long part = Math.Min(outputs, Math.Max(BlockLength, UnpackedAtOnce / Math.Max(1, width)));
        using Tensor unpacked = empty([part, width], ScalarType.Float32);
        for (long row = 0; row < outputs; row += part)
        {
            long count = Math.Min(part, outputs - row);
            Unpack(blocks.DataPointer + row * Bytes(width), (float*)unpacked.DataPointer, count * width / BlockLength);
            using Tensor to = result.narrow(1, row, count), some = unpacked.narrow(0, 0, count), transposed = some.t();
            MatrixProduct.MultiplyInto(to, rows, transposed);
        }
    }

    private static Tensor Checked(Tensor blocks) =>
        blocks.device_type == DeviceType.CPU && blocks.dtype == ScalarType.Int8 && blocks.dim() > 0 && blocks.size(-1) % BlockBytes == 0
            ? blocks.contiguous()
            : throw new TorchException($"blocks are int8 on the CPU, {BlockBytes} bytes each, not {Description(blocks)}");

    private static long Width(Tensor blocks) => blocks.size(-1) / BlockBytes * BlockLength;

    private static string Description(Tensor tensor) => $"{tensor.ShapeText} {tensor.dtype} on {tensor.device}";
}
