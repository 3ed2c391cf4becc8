using System.Text.Json.Serialization;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>The tokens among which the experts are to be given as much.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<BalanceScope>))]
public enum BalanceScope
{
    /// <summary>All rows that are computed together: a micro-batch, or a thread's part of one (Switch).</summary>
    [JsonStringEnumMemberName("batch")]
    Batch,

    /// <summary>Each row by itself (DeepSeek-V3, arXiv 2412.19437, §2.1.2): stricter, and the same however rows are shared out.</summary>
    [JsonStringEnumMemberName("sequence")]
    Sequence,
}
