using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Layers without state that libtorch has and TorchSharp's <c>nn.functional</c> lacks.</summary>
public static class Functional
{
    /// <summary>Root mean square 1 over the last dimensions, then scaled (Zhang and Sennrich 2019).</summary>
    /// <param name="input">(…, shape)</param>
    /// <param name="shape">The last dimensions.</param>
    /// <param name="weight">The scale, of that shape, or none.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public static unsafe torch.Tensor RmsNorm(torch.Tensor input, ReadOnlySpan<long> shape, torch.Tensor? weight = null, double epsilon = 1e-05)
    {
        fixed (long* extents = shape)
            return Native.Own(tn_rms_norm(input.handle, extents, shape.Length, weight?.handle ?? TensorHandle.Null, epsilon, out var result), result);
    }

    /// <summary>Rows of a table by index.</summary>
    /// <param name="indices">Integers of any shape.</param>
    /// <param name="weight">(entries, features)</param>
    /// <param name="paddingIndex">An entry that gets no gradient, or none.</param>
    /// <returns>(indices…, features)</returns>
    public static torch.Tensor Embedding(torch.Tensor indices, torch.Tensor weight, long? paddingIndex = null) =>
        Native.Own(tn_embedding(weight.handle, indices.handle, paddingIndex ?? -1, out var result), result);

    /// <summary>GELU approximated by ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))) (Hendrycks and Gimpel 2016, arXiv 1606.08415).</summary>
    /// <param name="x">Any shape.</param>
    public static torch.Tensor GeluTanh(torch.Tensor x) => Native.Own(tn_gelu(x.handle, 1, out var result), result);
}
