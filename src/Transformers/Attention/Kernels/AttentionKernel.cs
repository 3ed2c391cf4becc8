using System.Text.Json.Serialization;

namespace Trainer.Transformers.Attention.Kernels;

/// <summary>The kernel a configuration asks for.</summary>
/// <remarks>A new kernel is its own file, a member here and a line in <see cref="KernelSelection"/>.</remarks>
[JsonConverter(typeof(JsonStringEnumConverter<AttentionKernel>))]
public enum AttentionKernel
{
    /// <summary>The fastest kernel that can run each call.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>The specification, step by step.</summary>
    [JsonStringEnumMemberName("reference")]
    Reference,

    /// <summary>libtorch's fused attention; an error where it cannot run.</summary>
    [JsonStringEnumMemberName("flash")]
    Flash,

    /// <summary>Only the pairs that the pattern lets see each other, tile by tile.</summary>
    [JsonStringEnumMemberName("block-sparse")]
    BlockSparse,

    /// <summary>Linear attention, which is another function than softmax attention.</summary>
    [JsonStringEnumMemberName("linear")]
    Linear,
}
