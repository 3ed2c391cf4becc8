using System.Text.Json.Serialization;

namespace Trainer.Models.FeedForward;

/// <summary>The function between the matrices of a feed-forward layer, by its name in a configuration.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ActivationKind>))]
public enum ActivationKind
{
    /// <summary>max(x, 0).</summary>
    [JsonStringEnumMemberName("relu")]
    Relu,

    /// <summary>x·Φ(x), the exact one with erf.</summary>
    [JsonStringEnumMemberName("gelu")]
    Gelu,

    /// <summary>GELU in its approximation by tanh.</summary>
    [JsonStringEnumMemberName("gelu-tanh")]
    GeluTanh,

    /// <summary>x·sigmoid(x).</summary>
    [JsonStringEnumMemberName("silu")]
    Silu,

    /// <summary>max(x, 0)².</summary>
    [JsonStringEnumMemberName("relu2")]
    SquaredRelu,

    /// <summary>sigmoid(gate) ⊙ up.</summary>
    [JsonStringEnumMemberName("glu")]
    Glu,

    /// <summary>max(gate, 0) ⊙ up.</summary>
    [JsonStringEnumMemberName("reglu")]
    ReGlu,

    /// <summary>GELU(gate) ⊙ up, the exact one with erf.</summary>
    [JsonStringEnumMemberName("geglu")]
    GeGlu,

    /// <summary>GELU(gate) ⊙ up, in its approximation by tanh.</summary>
    [JsonStringEnumMemberName("geglu-tanh")]
    GeGluTanh,

    /// <summary>SiLU(gate) ⊙ up.</summary>
    [JsonStringEnumMemberName("swiglu")]
    SwiGlu,
}
