namespace Trainer.Torch;

/// <summary>The function between the layers of <see cref="FusedKernels.RoundedFeedForward"/>. The numbers are those of the native shim.</summary>
public enum RoundedFunction
{
    /// <summary>x·Φ(x), the exact GELU.</summary>
    Gelu = 0,

    /// <summary>SiLU(gate)·up, of [gate | up].</summary>
    SwiGlu = 1,
}
