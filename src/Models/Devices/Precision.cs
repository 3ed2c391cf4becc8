using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace Trainer.Models.Devices;

/// <summary>The number format of matrix products. Weights, norms, losses and optimizer state are float32 under either.</summary>
public enum Precision
{
    /// <summary>32-bit floating point throughout.</summary>
    [JsonStringEnumMemberName("float32")]
    Float32,

    /// <summary>bfloat16 matrix products on float32 master weights: 8 bits of precision, the range of float32, no loss scaling.</summary>
    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,

    /// <summary>float32 in memory, rounded to 10 bits of precision inside matrix products: NVIDIA GPUs since Ampere only.</summary>
    [JsonStringEnumMemberName("tf32")]
    Tf32,
}

/// <summary>Number formats as libtorch knows them.</summary>
public static class PrecisionTypes
{
    /// <summary>The libtorch type that matrix products are computed in.</summary>
    /// <param name="precision">The number format.</param>
    public static ScalarType ToComputeType(this Precision precision) => precision == Precision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
}
