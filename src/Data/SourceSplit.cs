using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>Which part of a corpus that brings its own division is read.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourceSplit>))]
public enum SourceSplit
{
    /// <summary>The part to train on.</summary>
    [JsonStringEnumMemberName("train")]
    Train,

    /// <summary>The part to validate on, which shares nothing with the other.</summary>
    [JsonStringEnumMemberName("validation")]
    Validation,
}
