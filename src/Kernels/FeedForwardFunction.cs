namespace Trainer.Kernels;

/// <summary>The function between the matrices of <see cref="FusedFeedForward.Apply"/>.</summary>
public enum FeedForwardFunction
{
    /// <summary>x·Φ(x), the exact GELU.</summary>
    Gelu,

    /// <summary>SiLU(gate)·up, of [gate | up].</summary>
    SwiGlu,

    /// <summary>GELU by tanh.</summary>
    GeluTanh,

    /// <summary>x·σ(x)</summary>
    Silu,

    /// <summary>max(0, x)²</summary>
    SquaredRelu,

    /// <summary>GELU(gate)·up, of [gate | up].</summary>
    GeGlu,

    /// <summary>GELU(gate)·up, GELU by tanh, of [gate | up].</summary>
    GeGluTanh,
}
