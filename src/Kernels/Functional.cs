using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Stateless layers that libtorch has and TorchSharp's <c>nn.functional</c> lacks.</summary>
public static class Functional
{
    /// <summary>Root-mean-square norm over the last dimensions (Zhang and Sennrich 2019); the weight has their shape.</summary>
    public static Tensor RmsNorm(Tensor input, ReadOnlySpan<long> shape, Tensor? weight = null, double epsilon = 1e-05) =>
        Aten.rms_norm(input, shape, weight, epsilon);

    /// <summary>Rows of a table (entries, features) by index, (indices…, features); the entry paddingIndex gets no gradient.</summary>
    public static Tensor Embedding(Tensor indices, Tensor weight, long? paddingIndex = null) =>
        Aten.embedding(weight, indices, paddingIndex ?? -1);

    /// <summary>GELU approximated by ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))) (Hendrycks and Gimpel 2016, arXiv 1606.08415).</summary>
    public static Tensor GeluTanh(Tensor x) => nn.functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh);
}
