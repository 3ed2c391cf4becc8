using Trainer.Checkpoints.Weights;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>How the matrices of a GGUF file are stored. Vectors are always float32.</summary>
public enum GgufType
{
    /// <summary>float32.</summary>
    F32,

    /// <summary>float16.</summary>
    F16,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>Blocks of 32 numbers: a float16 scale and 8-bit integers.</summary>
    Q8_0,
}

/// <summary>The numbers and sizes of GGUF for each type.</summary>
internal static class GgufTypes
{
    /// <summary>ggml's number of the type.</summary>
    public static uint Code(this GgufType type) => type switch
    {
        GgufType.F32 => 0, GgufType.F16 => 1, GgufType.BF16 => 30, GgufType.Q8_0 => 8, _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    /// <summary>llama.cpp's number for a file most of whose matrices have the type.</summary>
    public static uint FileType(this GgufType type) => type switch
    {
        GgufType.F32 => 0, GgufType.F16 => 1, GgufType.BF16 => 32, GgufType.Q8_0 => 7, _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    /// <summary>The numbers it holds.</summary>
    public static WeightRange Range(this GgufType type) => type switch
    {
        GgufType.Q8_0 => WeightRange.Blocks, GgufType.F16 => WeightRange.Of(ScalarType.Float16), GgufType.BF16 => WeightRange.Of(ScalarType.BFloat16), _ => WeightRange.Of(ScalarType.Float32),
    };

    /// <summary>Bytes of so many numbers.</summary>
    public static long Bytes(this GgufType type, long count) => type switch
    {
        GgufType.F32 => 4 * count, GgufType.F16 or GgufType.BF16 => 2 * count, _ => BlockQuantization.Bytes(count),
    };
}
