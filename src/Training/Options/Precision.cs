using System.Text.Json.Serialization;

namespace Trainer.Training;

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
