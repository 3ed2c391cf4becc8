using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>The rows of heads of a (B, N, T, D) tensor whose last dimension is contiguous, in float32 or, if rounded, bfloat16.</summary>
internal readonly unsafe struct HeadRows(void* data, long batchStride, long headStride, long rowStride, bool rounded)
{
    public static HeadRows Of(Tensor? heads) => heads is null
        ? default
        : new(heads.DataPointer, heads.stride(0), heads.stride(1), heads.stride(2), heads.dtype == ScalarType.BFloat16);

    /// <summary>Copies rows of one head to (rows, D), as float32.</summary>
    public void Load<T>(long batch, long head, long first, long rows, int width, float* to) where T : unmanaged, ILanes<T>
    {
        if (rounded) Load<T, StoredBFloat16>(batch * batchStride + head * headStride + first * rowStride, rows, width, to);
        else Load<T, StoredFloat32>(batch * batchStride + head * headStride + first * rowStride, rows, width, to);
    }

    /// <summary>Writes rows (rows, D) of one head, scaled by a factor.</summary>
    public void Store<T>(long batch, long head, long first, long rows, int width, float* from, float factor) where T : unmanaged, ILanes<T>
    {
        if (rounded) Store<T, StoredBFloat16>(batch * batchStride + head * headStride + first * rowStride, rows, width, from, factor);
        else Store<T, StoredFloat32>(batch * batchStride + head * headStride + first * rowStride, rows, width, from, factor);
    }

    /// <summary>Writes rows of one head, each scaled by its own factor.</summary>
    public void Store<T>(long batch, long head, long first, long rows, int width, float* from, float* factors)
        where T : unmanaged, ILanes<T>
    {
        for (long row = 0; row < rows; row++) Store<T>(batch, head, first + row, 1, width, from + row * width, factors[row]);
    }

    /// <summary>Prefetches rows of one head into the second-level cache.</summary>
    [MethodImpl(Lanes.Loop)]
    public void Prefetch(long batch, long head, long first, long rows, int width)
    {
        if (!Sse.IsSupported) return;
        long size = rounded ? sizeof(ushort) : sizeof(float), bytes = width * size;
        byte* row = (byte*)data + (batch * batchStride + head * headStride + first * rowStride) * size;
        for (; rows > 0; rows--, row += rowStride * size)
            for (long line = 0; line < bytes; line += 64) Sse.Prefetch1(row + line);
    }

    [MethodImpl(Lanes.Loop)]
    private void Load<T, TStored>(long at, long rows, int width, float* to) where T : unmanaged, ILanes<T> where TStored : IStored
    {
        for (long row = 0; row < rows; row++, at += rowStride, to += width)
            for (int d = 0; d < width; d += T.Count) T.Store(TStored.Load<T>(data, at + d), to + d);
    }

    [MethodImpl(Lanes.Loop)]
    private void Store<T, TStored>(long at, long rows, int width, float* from, float factor)
        where T : unmanaged, ILanes<T> where TStored : IStored
    {
        T scale = T.Broadcast(factor);
        for (long row = 0; row < rows; row++, at += rowStride, from += width)
            for (int d = 0; d < width; d += T.Count) TStored.Store(T.Load(from + d) * scale, data, at + d);
    }
}
