using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>How rows of tokens are cut out of documents.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataPacking>))]
public enum DataPacking
{
    /// <summary>Windows anywhere in the text, across documents.</summary>
    [JsonStringEnumMemberName("crops")]
    Crops,

    /// <summary>Whole documents, several to a row, with their boundaries.</summary>
    [JsonStringEnumMemberName("documents")]
    Documents,

    /// <summary>In each row a text to read and behind it the text to write, of which only the latter is to be predicted.</summary>
    [JsonStringEnumMemberName("pairs")]
    Pairs,
}
