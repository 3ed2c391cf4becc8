using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>Taking the last dimension apart.</summary>
internal static class LastDimension
{
    /// <summary>(…, count·width) → (…, count, width)</summary>
    public static Tensor Unflatten(this Tensor x, long count, long width) => x.reshape([.. x.shape[..^1], count, width]);
}
