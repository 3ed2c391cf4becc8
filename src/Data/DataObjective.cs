using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>What a model learns to predict from its text.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataObjective>))]
public enum DataObjective
{
    /// <summary>The next token, given those before it.</summary>
    [JsonStringEnumMemberName("causal")]
    Causal,

    /// <summary>Hidden tokens, given those on both sides (BERT).</summary>
    [JsonStringEnumMemberName("masked")]
    Masked,

    /// <summary>A target text, token by token, given a source text.</summary>
    [JsonStringEnumMemberName("sequence-to-sequence")]
    SequenceToSequence,

    /// <summary>The class of a picture.</summary>
    [JsonStringEnumMemberName("classification")]
    Classification,

    /// <summary>The next values of a time series, given those before.</summary>
    [JsonStringEnumMemberName("forecasting")]
    Forecasting,
}

/// <summary>What sources hold.</summary>
public enum DataKind
{
    /// <summary>Texts, which become tokens.</summary>
    Text,

    /// <summary>Pictures.</summary>
    Images,

    /// <summary>Time series.</summary>
    Series,
}

/// <summary>How rows of tokens are cut out of documents.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataPacking>))]
public enum DataPacking
{
    /// <summary>Windows anywhere in the text, crossing document boundaries.</summary>
    [JsonStringEnumMemberName("crops")]
    Crops,

    /// <summary>Whole documents, several to a row, with boundaries kept.</summary>
    [JsonStringEnumMemberName("documents")]
    Documents,

    /// <summary>A text to read followed by the text to write; only the latter is predicted.</summary>
    [JsonStringEnumMemberName("pairs")]
    Pairs,
}
