using System.Text.Json.Serialization;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>How the router's logits become affinities of a token to the experts.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RouterKind>))]
public enum RouterKind
{
    /// <summary>The experts compete: softmax over all of them (Switch, Mixtral, DeepSeek-V2).</summary>
    [JsonStringEnumMemberName("softmax")]
    Softmax,

    /// <summary>Each expert by itself: sigmoid (DeepSeek-V3).</summary>
    [JsonStringEnumMemberName("sigmoid")]
    Sigmoid,
}
