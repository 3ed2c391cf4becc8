// Shapes: B batch, T positions.
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>Documents side by side, by their lengths in each sequence.</summary>
internal static class SpanTensor
{
    /// <summary>(B, T, 2), int32: where the document of each position begins and ends.</summary>
    public static Tensor Of(params int[][] lengths) => stack([.. lengths.Select(OfSequence)]);

    /// <summary>(B, T, T): whether query and key are of two documents.</summary>
    public static Tensor Apart(params int[][] lengths)
    {
        Tensor begins = Of(lengths).select(2, 0); // (B, T)
        return begins.unsqueeze(2).ne(begins.unsqueeze(1));
    }

    private static Tensor OfSequence(int[] lengths)
    {
        List<int> spans = [];
        int from = 0;
        foreach (int length in lengths)
        {
            for (int i = 0; i < length; i++) spans.AddRange([from, from + length]);
            from += length;
        }
        return tensor(spans.ToArray(), [from, 2]);
    }
}
