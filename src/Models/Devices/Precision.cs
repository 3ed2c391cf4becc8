using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace Trainer.Models.Devices;

/// <summary>The type of matrix products; weights, norms, losses and optimizer state are always float32.</summary>
public enum Precision
{
    /// <summary>32-bit floating point throughout.</summary>
    [JsonStringEnumMemberName("float32")]
    Float32,

    /// <summary>bfloat16 products of float32 master weights: 8 bits of precision, the range of float32, no loss scaling.</summary>
    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,

    /// <summary>float32, rounded to 10 bits of precision inside matrix products: NVIDIA GPUs since Ampere only.</summary>
    [JsonStringEnumMemberName("tf32")]
    Tf32,
}

/// <summary>Converts to libtorch's types.</summary>
public static class PrecisionTypes
{
    /// <summary>The libtorch type of matrix products.</summary>
    public static ScalarType ToComputeType(this Precision precision) =>
        precision == Precision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
}

/// <summary>The type of matrices in a model for inference; norms, attention and losses are always float32 on the CPU.</summary>
public enum InferencePrecision
{
    /// <summary>32-bit floating point.</summary>
    Float32,

    /// <summary>bfloat16, with sums in float32: half the memory.</summary>
    BFloat16,

    /// <summary>Blocks of 8 bits (GGUF's Q8_0), multiplied in float32: a quarter of the memory. CPU only.</summary>
    Int8,
}

internal static class InferencePrecisionTypes
{
    public static ScalarType ToComputeType(this InferencePrecision precision) => precision switch
    {
        InferencePrecision.Float32 => ScalarType.Float32,
        InferencePrecision.BFloat16 => ScalarType.BFloat16,
        InferencePrecision.Int8 => ScalarType.Int8,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "unknown precision"),
    };
}
