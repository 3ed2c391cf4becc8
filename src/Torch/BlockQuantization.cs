using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Matrices in 8 bits, on the CPU: each 32 consecutive numbers of a row as one float16 scale and 32 integers, GGUF's Q8_0.</summary>
/// <remarks>Such a matrix is a tensor of int8, (…, K / 32 · 34), whose rows are blocks one after the other as GGUF stores them. It is for inference: there are no
/// gradients. A number is off by at most half a step, 1/254 of its block's largest magnitude, and what float16 rounds of the scale.</remarks>
public static class BlockQuantization
{
    /// <summary>Numbers in a block.</summary>
    public const int BlockLength = 32;

    /// <summary>Bytes of a block.</summary>
    public const int BlockBytes = 34;

    /// <summary>Whether rows of so many numbers are made of whole blocks.</summary>
    public static bool Divides(long width) => width % BlockLength == 0;

    /// <summary>Bytes of so many numbers.</summary>
    /// <param name="numbers">A multiple of 32.</param>
    public static long Bytes(long numbers) => numbers / BlockLength * BlockBytes;

    /// <summary>Puts numbers into blocks: the scale is the largest magnitude / 127, a number is x / scale rounded to the nearest, as ggml's reference rounds.</summary>
    /// <param name="numbers">(…, K), float32 on the CPU</param>
    /// <returns>(…, K / 32 · 34), int8</returns>
    /// <exception cref="TorchException">The type or device is another, or 32 does not divide K.</exception>
    public static torch.Tensor Pack(torch.Tensor numbers) => Native.Own(tn_blocks_pack(numbers.handle, out nint result), result);

    /// <summary>The numbers that blocks stand for.</summary>
    /// <param name="blocks">(…, K / 32 · 34), int8</param>
    /// <returns>(…, K), float32</returns>
    /// <exception cref="TorchException">These are no blocks.</exception>
    public static torch.Tensor Unpack(torch.Tensor blocks) => Native.Own(tn_blocks_unpack(blocks.handle, out nint result), result);

    /// <summary>x·weightᵀ + bias, multiplied and added up in float32.</summary>
    /// <param name="x">(…, K), float32</param>
    /// <param name="blocks">The weight, (N, K / 32 · 34)</param>
    /// <param name="bias">(N), float32, or none</param>
    /// <returns>(…, N), float32</returns>
    /// <exception cref="TorchException">Shapes, types or devices are others, or a gradient of x is asked for.</exception>
    public static torch.Tensor Linear(torch.Tensor x, torch.Tensor blocks, torch.Tensor? bias = null) =>
        Native.Own(tn_blocks_linear(x.handle, blocks.handle, bias?.handle ?? TensorHandle.Null, out nint result), result);
}
