using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Matrices of bfloat16 in 12 bits a number instead of 16, without loss, on the CPU: an exponent is stored as how far it is below the largest of its row,
/// in 4 bits; the few that are further below than these can say are stored in full beside the row.</summary>
/// <remarks>Decoding takes the time of reading the weights, and so three quarters of it. Such a matrix is a tensor of bytes, (N, R), where R is 96 for each 64
/// numbers of a row, and a header; four rows stand together, so that rows cannot be taken out. It is for inference: there are no gradients. The idea that the
/// exponents of weights need few bits is from DFloat11 (Zhang et al. 2025, arXiv 2504.11651).</remarks>
public static class ExponentPacking
{
    /// <summary>A row is of a multiple of so many numbers.</summary>
    public const int UnitLength = 64;

    private const int LongestRow = 1 << 16;

    /// <summary>Whether the processor multiplies such matrices faster than it reads those of bfloat16: AVX-512 and its bfloat16 products.</summary>
    public static bool Runs { get; } = tn_exponents_run() != 0;

    /// <summary>Whether rows of so many numbers can be packed.</summary>
    public static bool Divides(long width) => width is > 0 and <= LongestRow && width % UnitLength == 0;

    /// <summary>Packs a matrix.</summary>
    /// <param name="numbers">(N, K), bfloat16, or float32 that is rounded to it; on the CPU</param>
    /// <returns>(N, R), bytes; null where a row has more than 22 numbers that are smaller than its largest by 15 powers of two</returns>
    /// <exception cref="TorchException">The type or device is another, there are no numbers, or not <see cref="Divides"/>.</exception>
    public static torch.Tensor? TryPack(torch.Tensor numbers)
    {
        Native.Check(tn_exponents_pack(numbers.handle, out nint result));
        return result == 0 ? null : new torch.Tensor(result);
    }

    /// <summary>The numbers that were packed, to the bit.</summary>
    /// <param name="packed">(N, R), bytes</param>
    /// <returns>(N, K), bfloat16</returns>
    /// <exception cref="TorchException">This is no packed matrix.</exception>
    public static torch.Tensor Unpack(torch.Tensor packed) => Native.Own(tn_exponents_unpack(packed.handle, out nint result), result);

    /// <summary>x·weightᵀ + bias, multiplied in bfloat16 and added up in float32.</summary>
    /// <param name="x">(…, K), bfloat16, or float32 that is rounded to it</param>
    /// <param name="packed">The weight, (N, R)</param>
    /// <param name="bias">(N), float32, or none</param>
    /// <returns>(…, N), float32</returns>
    /// <exception cref="TorchException">Shapes, types or devices are others, or a gradient of x is asked for.</exception>
    public static torch.Tensor Linear(torch.Tensor x, torch.Tensor packed, torch.Tensor? bias = null) =>
        Native.Own(tn_exponents_linear(x.handle, packed.handle, bias?.handle ?? TensorHandle.Null, out nint result), result);
}
