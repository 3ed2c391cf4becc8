using System.Text.Json.Serialization;

namespace Trainer.Models.Positions;

/// <summary>Which dimensions of a head turn together. Weights made for one layout need their rows permuted for the other.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RotaryLayout>))]
public enum RotaryLayout
{
    /// <summary>Dimension i with dimension i + R/2 (Hugging Face, GPT-NeoX).</summary>
    [JsonStringEnumMemberName("half-split")]
    HalfSplit,

    /// <summary>Dimension 2i with dimension 2i + 1 (the paper, Meta, GPT-J).</summary>
    [JsonStringEnumMemberName("interleaved")]
    Interleaved,
}
