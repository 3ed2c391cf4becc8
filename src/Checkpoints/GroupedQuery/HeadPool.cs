using System.Text.Json.Serialization;

namespace Trainer.Checkpoints.GroupedQuery;

/// <summary>What becomes of the key and value heads that are to be one (Ainslie et al. 2023, arXiv 2305.13245, §2.1).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<HeadPool>))]
public enum HeadPool
{
    /// <summary>Their mean, which keeps most of what they learned.</summary>
    [JsonStringEnumMemberName("mean")]
    Mean,

    /// <summary>The first of them.</summary>
    [JsonStringEnumMemberName("first")]
    First,

    /// <summary>A head drawn anew, which keeps nothing: what the others are measured against.</summary>
    [JsonStringEnumMemberName("random")]
    Random,
}
