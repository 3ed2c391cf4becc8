using static TorchSharp.torch;

namespace Trainer.Models.Devices;

/// <summary>How a model that is not trained any more holds and multiplies its matrices. Norms, attention and losses are float32 under each on the CPU.</summary>
public enum InferencePrecision
{
    /// <summary>32-bit floating point.</summary>
    Float32,

    /// <summary>bfloat16, with sums in float32: half the memory.</summary>
    BFloat16,

    /// <summary>Weights in blocks of 8 bits (GGUF's Q8_0), multiplied in float32: a quarter of the memory. On the CPU only.</summary>
    Int8,
}

/// <summary>These formats as libtorch knows them.</summary>
public static class InferencePrecisionTypes
{
    /// <summary>The libtorch type of matrices.</summary>
    /// <param name="precision">The format.</param>
    public static ScalarType ToComputeType(this InferencePrecision precision) => precision switch
    {
        InferencePrecision.Float32 => ScalarType.Float32,
        InferencePrecision.BFloat16 => ScalarType.BFloat16,
        InferencePrecision.Int8 => ScalarType.Int8,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "unknown precision"),
    };
}
