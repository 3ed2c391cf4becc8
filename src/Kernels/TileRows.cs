// Shapes: B batch, N heads, T positions, D width of a head, c tiles of m rows.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Rows of a tensor (B, N, T, D) at tiles of indices (c, m): gathered, put back, or added up.</summary>
/// <remarks>Loops on the CPU, because libtorch's operators along an inner dimension cost a call for each index; sums in the order of the
/// indices, so the same bits on every run. Elsewhere libtorch's operators.</remarks>
internal static unsafe class TileRows
{
    // Fewest bytes worth a thread.
    private const long Grain = 1 << 16;

    /// <summary>(B, N, T, D), (c, m) → (c, B, N, m, D)</summary>
    public static Tensor Gather(Tensor source, Tensor index)
    {
        long batch = source.size(0), heads = source.size(1), width = source.size(3), tiles = index.size(0), rows = index.size(1);
        if (source.device_type != DeviceType.CPU)
        {
            using DisposeScope scope = NewDisposeScope();
            return source.index_select(2, index.reshape(-1)).view(batch, heads, tiles, rows, width).permute(2, 0, 1, 3, 4).contiguous()
                .MoveToOuterDisposeScope();
        }
        using Tensor x = source.stride(3) == 1 ? source.alias() : source.contiguous(), picked = index.contiguous();
        Tensor result = empty([tiles, batch, heads, rows, width], x.dtype);
        Copy(x, picked, result, into: false);
        return result;
    }

    /// <summary>Overwrites the rows of target (B, N, T, D) at indices (c, m) with source (c, B, N, m, D).</summary>
    public static void Put(Tensor target, Tensor index, Tensor source)
    {
        if (target.device_type != DeviceType.CPU || target.stride(3) != 1)
        {
            using DisposeScope scope = NewDisposeScope();
            target.index_copy_(2, index.reshape(-1), Lists(source));
            return;
        }
        using Tensor x = source.contiguous(), picked = index.contiguous();
        Copy(target, picked, x, into: true);
    }

    /// <summary>Adds source (c, B, N, m, D) to the rows of target (B, N, T, D), contiguous, at indices (c, m).</summary>
    public static void Add(Tensor target, Tensor index, Tensor source)
    {
        if (target.device_type != DeviceType.CPU || target.dtype != ScalarType.Float32)
        {
            using DisposeScope scope = NewDisposeScope();
            target.index_add_(2, index.reshape(-1), Lists(source), 1);
            return;
        }
        using Tensor x = source.contiguous(), picked = index.contiguous();
        AddLoop loop = new()
        {
            Source = (float*)x.DataPointer, Target = (float*)target.DataPointer, Index = (long*)picked.DataPointer,
            Tiles = index.size(0), Rows = index.size(1), Lists = target.size(0) * target.size(1),
            Length = target.size(2), Width = target.size(3),
        };
        // All tiles of a head run on one thread: no two write the same row.
        ParallelFor.Run(loop.Lists, Math.Max(1, Grain / (4 * loop.Tiles * loop.Rows * loop.Width)), loop);
    }

    // (c, B, N, m, D) → (B, N, c·m, D), as libtorch's indexed operators take it.
    private static Tensor Lists(Tensor tiles) => tiles.permute(1, 2, 0, 3, 4).reshape(tiles.size(1), tiles.size(2), -1, tiles.size(4));

    private static void Copy(Tensor x, Tensor index, Tensor tiled, bool into)
    {
        long size = x.element_size(), batch = x.size(0), heads = x.size(1), length = x.size(2), width = x.size(3) * size;
        long rows = index.size(1), batchStride = x.stride(0) * size, headStride = x.stride(1) * size, rowStride = x.stride(2) * size;
        byte* untiled = x.DataPointer, tiles = tiled.DataPointer;
        long* picked = (long*)index.DataPointer;
        for (long i = 0; i < index.numel(); i++)
            if ((ulong)picked[i] >= (ulong)length) throw new TorchException($"tiles name row {picked[i]} of {length} rows");
        ParallelFor.Run(index.size(0) * batch * heads, Math.Max(1, Grain / (rows * width)), (begin, end) =>
        {
            for (long list = begin; list < end; list++)
            {
                byte* from = untiled + list / heads % batch * batchStride + list % heads * headStride, to = tiles + list * rows * width;
                long* indices = picked + list / (batch * heads) * rows;
                for (long row = 0; row < rows; row++)
                {
                    byte* untiledRow = from + indices[row] * rowStride, tiledRow = to + row * width;
                    if (into) Buffer.MemoryCopy(tiledRow, untiledRow, width, width);
                    else Buffer.MemoryCopy(untiledRow, tiledRow, width, width);
                }
            }
        });
    }

    private struct AddLoop : ILoop
    {
        public float* Source, Target;
        public long* Index;
        public long Tiles, Rows, Lists, Length, Width;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = Width - Width % T.Count;
            for (long list = begin; list < end; list++)
            for (long tile = 0; tile < Tiles; tile++)
            for (long row = 0; row < Rows; row++)
            {
                float* from = Source + ((tile * Lists + list) * Rows + row) * Width;
                float* to = Target + (list * Length + Index[tile * Rows + row]) * Width;
                for (long i = 0; i < whole; i += T.Count) T.Store(T.Load(to + i) + T.Load(from + i), to + i);
                for (long i = whole; i < Width; i++) to[i] += from[i];
            }
        }
    }
}
