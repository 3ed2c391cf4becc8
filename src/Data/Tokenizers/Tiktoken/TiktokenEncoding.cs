using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>OpenAI's encodings, by the names of its library tiktoken.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<TiktokenEncoding>))]
public enum TiktokenEncoding
{
    /// <summary>GPT-2's: 50,257 tokens.</summary>
    [JsonStringEnumMemberName("gpt2")]
    Gpt2,

    /// <summary>GPT-3's, with the tokens of <see cref="Gpt2"/>.</summary>
    [JsonStringEnumMemberName("r50k_base")]
    R50kBase,

    /// <summary>That of GPT-3.5 and GPT-4: ids to 100,276.</summary>
    [JsonStringEnumMemberName("cl100k_base")]
    Cl100kBase,

    /// <summary>GPT-4o's: ids to 200,018.</summary>
    [JsonStringEnumMemberName("o200k_base")]
    O200kBase,
}
