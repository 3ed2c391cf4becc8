using System.Runtime.CompilerServices;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Sum of all elements.</summary>
        public unsafe Tensor sum(ScalarType? type = null) =>
            Native.Own(tn_sum(handle, null, 0, 0, (int?)type ?? -1, out var result), result);

        // The literal 0 is also a ScalarType to C#: without a priority x.sum(0) would be the sum of all as bytes.

        /// <summary>Sum along one dimension.</summary>
        [OverloadResolutionPriority(1)]
        public unsafe Tensor sum(long dim, bool keepdim = false, ScalarType? type = null) =>
            Native.Own(tn_sum(handle, &dim, 1, keepdim ? 1 : 0, (int?)type ?? -1, out var result), result);

        /// <summary>Sum along several dimensions.</summary>
        public unsafe Tensor sum(ReadOnlySpan<long> dim, bool keepdim = false, ScalarType? type = null)
        {
            fixed (long* axes = dim)
                return Native.Own(tn_sum(handle, axes, dim.Length, keepdim ? 1 : 0, (int?)type ?? -1, out var result), result);
        }

        /// <summary>Mean of all elements.</summary>
        public unsafe Tensor mean(ScalarType? type = null) =>
            Native.Own(tn_mean(handle, null, 0, 0, (int?)type ?? -1, out var result), result);

        /// <summary>Mean along one dimension.</summary>
        [OverloadResolutionPriority(1)]
        public unsafe Tensor mean(long dim, bool keepdim = false, ScalarType? type = null) =>
            Native.Own(tn_mean(handle, &dim, 1, keepdim ? 1 : 0, (int?)type ?? -1, out var result), result);

        /// <summary>Mean along several dimensions.</summary>
        public unsafe Tensor mean(ReadOnlySpan<long> dimensions, bool keepdim = false, ScalarType? type = null)
        {
            fixed (long* axes = dimensions)
                return Native.Own(tn_mean(handle, axes, dimensions.Length, keepdim ? 1 : 0, (int?)type ?? -1, out var result), result);
        }

        /// <summary>Variance along one dimension.</summary>
        public unsafe Tensor var(long dim, bool unbiased = true, bool keepdim = false) =>
            Native.Own(tn_var(handle, &dim, 1, unbiased ? 1 : 0, keepdim ? 1 : 0, out var result), result);

        /// <summary>Standard deviation along one dimension.</summary>
        public Tensor std(long dim, bool unbiased = true, bool keepdim = false)
        {
            using var variance = var(dim, unbiased, keepdim);
            return variance.sqrt();
        }

        /// <summary>The vector norm of all elements.</summary>
        public unsafe Tensor norm(float p = 2.0f) => Native.Own(tn_norm(handle, p, null, 0, 0, out var result), result);

        /// <summary>The vector norm along one dimension.</summary>
        public unsafe Tensor norm(int dim, bool keepdim = false, float p = 2.0f)
        {
            long axis = dim;
            return Native.Own(tn_norm(handle, p, &axis, 1, keepdim ? 1 : 0, out var result), result);
        }

        /// <summary>The greatest element.</summary>
        public Tensor max() => Native.Own(tn_max(handle, out var result), result);

        /// <summary>The smallest element.</summary>
        public Tensor min() => Native.Own(tn_min(handle, out var result), result);

        /// <summary>Whether all are true.</summary>
        public Tensor all() => Native.Own(tn_all(handle, out var result), result);

        /// <summary>Whether any is true.</summary>
        public Tensor any() => Native.Own(tn_any(handle, out var result), result);

        /// <summary>The greatest element along a dimension, and where it is.</summary>
        public (Tensor values, Tensor indexes) max(long dim, bool keepdim = false) =>
            Native.Own(tn_max_dim(handle, dim, keepdim ? 1 : 0, out var values, out var indices), values, indices);

        /// <summary>The smallest element along a dimension, and where it is.</summary>
        public (Tensor values, Tensor indexes) min(long dim, bool keepdim = false) =>
            Native.Own(tn_min_dim(handle, dim, keepdim ? 1 : 0, out var values, out var indices), values, indices);

        /// <summary>Where the greatest element is, counted row-major.</summary>
        public Tensor argmax() => Native.Own(tn_argmax_all(handle, out var result), result);

        /// <summary>Where the greatest element along a dimension is.</summary>
        public Tensor argmax(long dim, bool keepdim = false) => Native.Own(tn_argmax(handle, dim, keepdim ? 1 : 0, out var result), result);

        /// <summary>The k greatest (or smallest) elements along a dimension, and where they are.</summary>
        public (Tensor values, Tensor indexes) topk(int k, int dim = -1, bool largest = true, bool sorted = true) =>
            Native.Own(tn_topk(handle, k, dim, largest ? 1 : 0, sorted ? 1 : 0, out var values, out var indices), values, indices);

        /// <summary>Sorted along a dimension, and where each element was; equal ones keep their order if it has to be stable.</summary>
        public (Tensor Values, Tensor Indices) sort(long dim = -1, bool descending = false, bool stable = false) =>
            Native.Own(tn_sort(handle, dim, descending ? 1 : 0, stable ? 1 : 0, out var values, out var indices), values, indices);

        /// <summary>Running sums along a dimension.</summary>
        public Tensor cumsum(long dim, ScalarType? type = null) => Native.Own(tn_cumsum(handle, dim, (int?)type ?? -1, out var result), result);

        /// <summary>Counts in equal bins; equal ends mean the range of the data.</summary>
        public Tensor histc(long bins = 100, long min = 0, long max = 0) => Native.Own(tn_histc(handle, bins, min, max, out var result), result);

        /// <summary>How often each of 0, 1, 2 … occurs among integers of one dimension, or the sum of its weights.</summary>
        /// <param name="weights">What each occurrence counts; none for 1.</param>
        /// <param name="minlength">Length of the result, if no greater number occurs.</param>
        public Tensor bincount(Tensor? weights = null, long minlength = 0) =>
            Native.Own(tn_bincount(handle, weights?.handle ?? TensorHandle.Null, minlength, out var result), result);

        /// <summary>ln Σ eˣ along a dimension, without overflow.</summary>
        public Tensor logsumexp(long dim, bool keepdim = false) => Native.Own(tn_logsumexp(handle, dim, keepdim ? 1 : 0, out var result), result);

        /// <summary>eˣ / Σ eˣ along a dimension.</summary>
        public Tensor softmax(long dim, ScalarType? dtype = null) => Native.Own(tn_softmax(handle, dim, (int?)dtype ?? -1, out var result), result);

        /// <summary>ln softmax along a dimension.</summary>
        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Native.Own(tn_log_softmax(handle, dim, (int?)dtype ?? -1, out var result), result);

        /// <summary>Matrix product, batches broadcast.</summary>
        public Tensor matmul(Tensor target) => Native.Own(tn_matmul(handle, target.handle, out var result), result);

        /// <summary>Matrix product of two matrices.</summary>
        public Tensor mm(Tensor target) => Native.Own(tn_mm(handle, target.handle, out var result), result);

        /// <summary>Matrix products of two batches.</summary>
        public Tensor bmm(Tensor batch2) => Native.Own(tn_bmm(handle, batch2.handle, out var result), result);

        /// <summary>Indices drawn from rows of weights.</summary>
        public Tensor multinomial(long num_samples, bool replacement = false, Generator? generator = null) => Native.Own(tn_multinomial(handle, num_samples, replacement ? 1 : 0, Generator.HandleOf(generator), out var result), result);

        /// <summary>Whether shapes and all values are the same.</summary>
        public bool Equals(Tensor target)
        {
            Native.Check(tn_equal(handle, target.handle, out var result));
            return result != 0;
        }

        /// <summary>Whether all values agree: |a − b| ≤ atol + rtol·|b|.</summary>
        public bool allclose(Tensor target, double rtol = 1e-05, double atol = 1e-08, bool equal_nan = false)
        {
            Native.Check(tn_allclose(handle, target.handle, rtol, atol, equal_nan ? 1 : 0, out var result));
            return result != 0;
        }
    }
}
