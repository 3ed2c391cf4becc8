using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>In what form a text comes.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourceFormat>))]
public enum SourceFormat
{
    /// <summary>Plain text files in UTF-8, each one document; also compressed (.gz, .zst).</summary>
    [JsonStringEnumMemberName("text")]
    Text,

    /// <summary>JSON lines: an object a line, with the document in one of its fields; also compressed (.gz, .zst).</summary>
    [JsonStringEnumMemberName("jsonl")]
    JsonLines,

    /// <summary>Parquet files, with a document a row in one of their columns.</summary>
    [JsonStringEnumMemberName("parquet")]
    Parquet,

    /// <summary>The API documentation that every .NET SDK installs beside itself; it has no path.</summary>
    [JsonStringEnumMemberName("dotnet-docs")]
    DotnetDocs,

    /// <summary>The messages of the .NET SDK in English and one of 13 other languages; it has no path.</summary>
    [JsonStringEnumMemberName("dotnet-translations")]
    DotnetTranslations,

    /// <summary>Examples of a task that are drawn at random from a seed; it has no path.</summary>
    [JsonStringEnumMemberName("synthetic")]
    Synthetic,
}
