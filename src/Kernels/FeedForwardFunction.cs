namespace Trainer.Kernels;

/// <summary>The activation of <see cref="FusedFeedForward.Apply"/>; gated ones read [gate | up].</summary>
public enum FeedForwardFunction
{
    /// <summary>x·Φ(x), exact GELU.</summary>
    Gelu,

    /// <summary>SiLU(gate)·up</summary>
    SwiGlu,

    /// <summary>GELU by its tanh approximation.</summary>
    GeluTanh,

    /// <summary>x·σ(x)</summary>
    Silu,

    /// <summary>max(0, x)²</summary>
    SquaredRelu,

    /// <summary>GELU(gate)·up</summary>
    GeGlu,

    /// <summary>GELU(gate)·up, GELU by its tanh approximation.</summary>
    GeGluTanh,
}
