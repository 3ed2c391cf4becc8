using System.Text.Json.Serialization;

namespace Trainer.Models.Devices;

/// <summary>Where a model is computed.</summary>
/// <remarks>Indices count the GPUs that the process sees: CUDA_VISIBLE_DEVICES chooses among more than eight.</remarks>
public enum DeviceChoice
{
    /// <summary>The first GPU when libtorch sees one, else the CPU.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>The processor.</summary>
    [JsonStringEnumMemberName("cpu")]
    Cpu,

    /// <summary>The first NVIDIA GPU; an error where there is none.</summary>
    [JsonStringEnumMemberName("cuda")]
    Cuda,

    /// <summary>The GPU with index 0.</summary>
    [JsonStringEnumMemberName("cuda:0")]
    Cuda0,

    /// <summary>The GPU with index 1.</summary>
    [JsonStringEnumMemberName("cuda:1")]
    Cuda1,

    /// <summary>The GPU with index 2.</summary>
    [JsonStringEnumMemberName("cuda:2")]
    Cuda2,

    /// <summary>The GPU with index 3.</summary>
    [JsonStringEnumMemberName("cuda:3")]
    Cuda3,

    /// <summary>The GPU with index 4.</summary>
    [JsonStringEnumMemberName("cuda:4")]
    Cuda4,

    /// <summary>The GPU with index 5.</summary>
    [JsonStringEnumMemberName("cuda:5")]
    Cuda5,

    /// <summary>The GPU with index 6.</summary>
    [JsonStringEnumMemberName("cuda:6")]
    Cuda6,

    /// <summary>The GPU with index 7.</summary>
    [JsonStringEnumMemberName("cuda:7")]
    Cuda7,
}
