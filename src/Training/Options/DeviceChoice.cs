using System.Text.Json.Serialization;

namespace Trainer.Training;

/// <summary>Where a model is computed.</summary>
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
}
