// Shapes: B batch, S positions, H query heads, G key-value heads, D head dimension.
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Key-value heads shared by query heads.</summary>
internal static class KeyValueHeads
{
    /// <summary>Gives each query head its key-value head: head h of the result is head ⌊h / sharing⌋ of <paramref name="heads"/>.</summary>
    /// <remarks>Consecutive query heads share (repeat), not every G-th (tile): Ainslie et al. 2023.</remarks>
    /// <param name="heads">(B, G, S, D)</param>
    /// <param name="sharing">H / G</param>
    /// <returns>(B, H, S, D): a view when there is one head or nothing is shared, else a copy.</returns>
    public static Tensor Repeat(Tensor heads, int sharing)
    {
        if (sharing == 1) return heads;
        long[] shape = heads.shape;
        if (shape[1] == 1) return heads.expand(shape[0], sharing, shape[2], shape[3]);
        return heads.unsqueeze(2)
            .expand(shape[0], shape[1], sharing, shape[2], shape[3])
            .reshape(shape[0], shape[1] * sharing, shape[2], shape[3]);
    }
}
