using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>What a model learns to predict from its text.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataObjective>))]
public enum DataObjective
{
    /// <summary>The next token, from those before it.</summary>
    [JsonStringEnumMemberName("causal")]
    Causal,

    /// <summary>Hidden tokens, from those on both sides (BERT).</summary>
    [JsonStringEnumMemberName("masked")]
    Masked,

    /// <summary>A text, token by token, from another text.</summary>
    [JsonStringEnumMemberName("sequence-to-sequence")]
    SequenceToSequence,
}
