using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Layers without state that libtorch has and TorchSharp's <c>nn.functional</c> lacks.</summary>
public static class Functional
{
    /// <summary>Root mean square 1 over the last dimensions, then scaled (Zhang and Sennrich 2019).</summary>
    /// <param name="input">(…, shape)</param>
    /// <param name="shape">The last dimensions.</param>
    /// <param name="weight">The scale, of that shape, or none.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public static Tensor RmsNorm(Tensor input, ReadOnlySpan<long> shape, Tensor? weight = null, double epsilon = 1e-05) =>
        Aten.rms_norm(input, shape, weight, epsilon);

    /// <summary>Rows of a table by index.</summary>
    /// <param name="indices">Integers of any shape.</param>
    /// <param name="weight">(entries, features)</param>
    /// <param name="paddingIndex">An entry that gets no gradient, or none.</param>
    /// <returns>(indices…, features)</returns>
    public static Tensor Embedding(Tensor indices, Tensor weight, long? paddingIndex = null) =>
        Aten.embedding(weight, indices, paddingIndex ?? -1);

    /// <summary>GELU approximated by ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))) (Hendrycks and Gimpel 2016, arXiv 1606.08415).</summary>
    /// <param name="x">Any shape.</param>
    public static Tensor GeluTanh(Tensor x) => nn.functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh);
}
