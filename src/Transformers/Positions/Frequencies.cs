using static TorchSharp.torch;

namespace Trainer.Transformers.Positions;

/// <summary>The frequencies of sinusoidal and rotary positions: one place for every layout.</summary>
internal static class Frequencies
{
    /// <summary>θ_i = base^(−2i/d) for i in 0 … d/2 − 1, float64 (d/2), in radians per position.</summary>
    public static Tensor Of(int dim, double theta) =>
        tensor([.. Enumerable.Range(0, dim / 2).Select(i => Math.Pow(theta, -2.0 * i / dim))]);
}
