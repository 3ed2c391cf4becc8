using System.Text.Json.Serialization;

namespace Trainer.Transformers.Attention.Caches;

/// <summary>What decoding remembers of keys and values, as a configuration asks for it.</summary>
/// <remarks>A new cache is its own file, a member here and a line in <see cref="CacheSelection"/>.</remarks>
[JsonConverter(typeof(JsonStringEnumConverter<AttentionCache>))]
public enum AttentionCache
{
    /// <summary>Rolling where the pattern forgets, else contiguous.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>Every token, in one piece of memory with room for all.</summary>
    [JsonStringEnumMemberName("contiguous")]
    Contiguous,

    /// <summary>Only what a sliding window still sees: constant memory.</summary>
    [JsonStringEnumMemberName("rolling")]
    Rolling,

    /// <summary>Every token, in blocks that sequences with a common beginning share.</summary>
    [JsonStringEnumMemberName("paged")]
    Paged,
}
