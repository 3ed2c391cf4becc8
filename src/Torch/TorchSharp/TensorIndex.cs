namespace TorchSharp;

public static partial class torch
{
    /// <summary>What stands between the brackets of <c>tensor[…]</c>: a position, a range, an ellipsis or a new dimension.</summary>
    public readonly struct TensorIndex
    {
        private TensorIndex(IndexKind kind, long? start = null, long? stop = null, long step = 1) =>
            (Kind, Start, Stop, Step) = (kind, start, stop, step);

        internal enum IndexKind { Slice, Single, Ellipsis, None }

        internal IndexKind Kind { get; }

        internal long? Start { get; }

        internal long? Stop { get; }

        internal long Step { get; }

        /// <summary>All dimensions that no other index speaks of.</summary>
        public static TensorIndex Ellipsis { get; } = new(IndexKind.Ellipsis);

        /// <summary>A new dimension of one.</summary>
        public static TensorIndex None { get; } = new(IndexKind.None);

        /// <summary>A whole dimension.</summary>
        public static TensorIndex Colon { get; } = new(IndexKind.Slice);

        /// <summary>One position; negative counts from the end. The dimension goes away.</summary>
        public static TensorIndex Single(long index) => new(IndexKind.Single, index);

        /// <summary>A range; negative counts from the end, an open end reaches to the end.</summary>
        public static TensorIndex Slice(long? start = null, long? stop = null, long? step = null) =>
            new(IndexKind.Slice, start, stop, step ?? 1);

        /// <summary>One position.</summary>
        public static implicit operator TensorIndex(long index) => Single(index);

        /// <summary>One position.</summary>
        /// <exception cref="ArgumentOutOfRangeException">The index is ^0, which lies after the end.</exception>
        public static implicit operator TensorIndex(Index index) =>
            index is { IsFromEnd: true, Value: 0 }
                ? throw new ArgumentOutOfRangeException(nameof(index), "^0 lies after the end; ^1 is the last one.")
                : Single(Bound(index));

        /// <summary>A range.</summary>
        public static implicit operator TensorIndex(Range range) => Slice(StartBound(range.Start), EndBound(range.End));

        private static long Bound(Index index) => index.IsFromEnd ? -index.Value : index.Value;

        // ^0 would become 0, the other end; libtorch takes what is too large to be the length.
        private static long StartBound(Index index) => index is { IsFromEnd: true, Value: 0 } ? long.MaxValue : Bound(index);

        private static long? EndBound(Index index) => index is { IsFromEnd: true, Value: 0 } ? null : Bound(index);
    }

    public partial class Tensor
    {
        /// <summary>A view by positions and ranges; each index takes one dimension, from the left.</summary>
        public Tensor this[params TensorIndex[] indices] => Index(indices);

        private Tensor Index(TensorIndex[] indices)
        {
            var rank = dim();
            var taken = indices.Count(index => index.Kind is TensorIndex.IndexKind.Slice or TensorIndex.IndexKind.Single);
            if (taken > rank)
                throw new ArgumentException($"{taken} indices for a tensor of {rank} dimensions.", nameof(indices));

            var result = alias();
            long axis = 0;
            foreach (var index in indices)
            {
                var next = index.Kind switch
                {
                    TensorIndex.IndexKind.Single => result.select(axis, index.Start!.Value),
                    TensorIndex.IndexKind.Slice => result.slice(axis++, index.Start ?? 0, index.Stop ?? long.MaxValue, index.Step),
                    TensorIndex.IndexKind.None => result.unsqueeze(axis++),
                    _ => null,
                };
                if (next is null)
                {
                    axis += rank - taken;
                    continue;
                }

                result.Dispose();
                result = next;
            }

            return result;
        }
    }
}
