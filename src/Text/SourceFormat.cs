using System.Text.Json.Serialization;

namespace Trainer.Text;

/// <summary>In what form a text comes.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourceFormat>))]
public enum SourceFormat
{
    /// <summary>A plain text file in UTF-8.</summary>
    [JsonStringEnumMemberName("text")]
    Text,

    /// <summary>The API documentation that every .NET SDK installs beside itself; it has no path.</summary>
    [JsonStringEnumMemberName("dotnet-docs")]
    DotnetDocs,
}
