using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>The same memory in another shape; −1 stands for what is left.</summary>
        public unsafe Tensor view(params ReadOnlySpan<long> shape)
        {
            fixed (long* values = shape)
                return Native.Own(tn_view(handle, values, shape.Length, out var result), result);
        }

        /// <summary>Another shape, a copy where a view cannot be.</summary>
        public unsafe Tensor reshape(params ReadOnlySpan<long> shape)
        {
            fixed (long* values = shape)
                return Native.Own(tn_reshape(handle, values, shape.Length, out var result), result);
        }

        /// <summary>The dimensions in another order.</summary>
        public unsafe Tensor permute(params ReadOnlySpan<long> permutation)
        {
            fixed (long* values = permutation)
                return Native.Own(tn_permute(handle, values, permutation.Length, out var result), result);
        }

        /// <summary>Dimensions of one repeated without copying; −1 keeps.</summary>
        public unsafe Tensor expand(params ReadOnlySpan<long> sizes)
        {
            fixed (long* values = sizes)
                return Native.Own(tn_expand(handle, values, sizes.Length, out var result), result);
        }

        /// <summary>Copies, tiled along each dimension.</summary>
        public unsafe Tensor repeat(params ReadOnlySpan<long> sizes)
        {
            fixed (long* values = sizes)
                return Native.Own(tn_repeat(handle, values, sizes.Length, out var result), result);
        }

        /// <summary>Reversed along dimensions.</summary>
        public unsafe Tensor flip(params ReadOnlySpan<long> dims)
        {
            fixed (long* values = dims)
                return Native.Own(tn_flip(handle, values, dims.Length, out var result), result);
        }

        /// <summary>With a dimension of one put in.</summary>
        public Tensor unsqueeze(long dim) => Native.Own(tn_unsqueeze(handle, dim, out var result), result);

        /// <summary>Without a dimension of one.</summary>
        public Tensor squeeze(long dim) => Native.Own(tn_squeeze(handle, dim, out var result), result);

        /// <summary>Without any dimension of one.</summary>
        public Tensor squeeze() => Native.Own(tn_squeeze_all(handle, out var result), result);

        /// <summary>Two dimensions exchanged.</summary>
        public Tensor transpose(long dim0, long dim1) => Native.Own(tn_transpose(handle, dim0, dim1, out var result), result);

        /// <summary>Dimensions from start to end made one.</summary>
        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Native.Own(tn_flatten(handle, start_dim, end_dim, out var result), result);

        /// <summary>Row-major without gaps; the tensor itself where it is so already.</summary>
        public Tensor contiguous() => Native.Own(tn_contiguous(handle, out var result), result);

        /// <summary>A copy, recorded for gradients.</summary>
        public Tensor clone() => Native.Own(tn_clone(handle, out var result), result);

        /// <summary>A view of a range along a dimension.</summary>
        public Tensor narrow(long dim, long start, long length) => Native.Own(tn_narrow(handle, dim, start, length, out var result), result);

        /// <summary>A view without one dimension, at an index of it.</summary>
        public Tensor select(long dim, long index) => Native.Own(tn_select(handle, dim, index, out var result), result);

        /// <summary>A view of every step-th index from start up to finish.</summary>
        public Tensor slice(long dim, long start, long finish, long step) => Native.Own(tn_slice(handle, dim, start, finish, step, out var result), result);

        /// <summary>Copies of the slices at the given positions.</summary>
        public Tensor index_select(long dim, Tensor index) => Native.Own(tn_index_select(handle, dim, index.handle, out var result), result);

        /// <summary>out[i][j] = this[i][index[i][j]] along dim.</summary>
        public Tensor gather(long dim, Tensor index) => Native.Own(tn_gather(handle, dim, index.handle, out var result), result);

        /// <summary>A copy with the source's values at the given positions along dim.</summary>
        public Tensor scatter(long dim, Tensor index, Tensor src) => Native.Own(tn_scatter(handle, dim, index.handle, src.handle, out var result), result);

        /// <summary>Each slice repeated in place: a, a, b, b; of all elements in a row, if no dimension is given.</summary>
        public Tensor repeat_interleave(long repeats, long? dim = null)
        {
            if (dim is { } axis) return Native.Own(tn_repeat_interleave(handle, repeats, axis, out var result), result);
            using var flat = flatten();
            return flat.repeat_interleave(repeats, 0);
        }

        /// <summary>Shifted along a dimension, what falls off comes in again.</summary>
        public Tensor roll(long shifts, long dims) => Native.Own(tn_roll(handle, shifts, dims, out var result), result);

        /// <summary>A view of pairs in the last dimension, which has two elements, as complex numbers: (…, 2) → (…). Its only uses are
        /// products with others of its kind and <see cref="view_as_real"/>.</summary>
        public Tensor view_as_complex() => Native.Own(tn_view_as_complex(handle, out var result), result);

        /// <summary>A view of complex numbers as pairs of real and imaginary part: (…) → (…, 2).</summary>
        public Tensor view_as_real() => Native.Own(tn_view_as_real(handle, out var result), result);

        /// <summary>The lower triangle, zeros above the diagonal.</summary>
        public Tensor tril(long diagonal = 0) => Native.Own(tn_tril(handle, diagonal, out var result), result);

        /// <summary>The upper triangle, zeros below the diagonal.</summary>
        public Tensor triu(long diagonal = 0) => Native.Own(tn_triu(handle, diagonal, out var result), result);

        /// <summary>The last two dimensions exchanged.</summary>
        public Tensor mT => transpose(-2, -1);

        /// <summary>Views of consecutive ranges along a dimension.</summary>
        public unsafe Tensor[] split(long[] split_sizes, long dim = 0)
        {
            var pieces = new nint[split_sizes.Length];
            fixed (long* sizes = split_sizes)
            fixed (nint* results = pieces)
                return Native.Own(tn_split(handle, sizes, pieces.Length, dim, results), pieces);
        }

        /// <summary>Views of equal ranges along a dimension, the last one perhaps shorter.</summary>
        public Tensor[] split(long split_size, long dim = 0)
        {
            var length = size((int)dim);
            var sizes = new long[(length + split_size - 1) / split_size];
            for (var i = 0; i < sizes.Length; i++) sizes[i] = Math.Min(split_size, length - i * split_size);
            return split(sizes, dim);
        }

        /// <summary>At most so many views of equal ranges along a dimension.</summary>
        public Tensor[] chunk(long chunks, long dim = 0) => split((size((int)dim) + chunks - 1) / chunks, dim);

        /// <summary>One view for each index of a dimension.</summary>
        public unsafe Tensor[] unbind(int dimension = 0)
        {
            var pieces = new nint[size(dimension)];
            fixed (nint* results = pieces) return Native.Own(tn_unbind(handle, dimension, results), pieces);
        }
    }
}
