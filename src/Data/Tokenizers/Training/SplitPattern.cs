using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>How text is cut into words before byte pairs are merged; no token crosses such a cut.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SplitPattern>))]
public enum SplitPattern
{
    /// <summary>GPT-2's (Radford 2019): words and numbers of any length, each with the space before it.</summary>
    [JsonStringEnumMemberName("gpt2")]
    Gpt2,

    /// <summary>That of GPT-3.5 and 4 (tiktoken's cl100k): numbers in threes, line breaks apart, any sign before a word.</summary>
    [JsonStringEnumMemberName("cl100k")]
    Cl100k,
}
