using System.Runtime.CompilerServices;

namespace Trainer.Kernels;

/// <summary>How float32 numbers are stored in memory.</summary>
internal unsafe interface IStored
{
    static abstract int Bytes { get; }

    /// <summary>Whether <see cref="First"/> and <see cref="Second"/> alternate; else they follow one another.</summary>
    static abstract bool Interleaves { get; }

    static abstract T Load<T>(void* source, long index) where T : unmanaged, ILanes<T>;

    /// <summary>Half of the 2·Count numbers from <paramref name="index"/> on, whichever half is faster to read.</summary>
    static abstract T First<T>(void* source, long index) where T : unmanaged, ILanes<T>;

    /// <summary>The other half.</summary>
    static abstract T Second<T>(void* source, long index) where T : unmanaged, ILanes<T>;

    static abstract void Store<T>(T value, void* target, long index) where T : unmanaged, ILanes<T>;
}

internal readonly unsafe struct StoredFloat32 : IStored
{
    public static int Bytes => sizeof(float);

    public static bool Interleaves => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(void* source, long index) where T : unmanaged, ILanes<T> => T.Load((float*)source + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T First<T>(void* source, long index) where T : unmanaged, ILanes<T> => T.Load((float*)source + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Second<T>(void* source, long index) where T : unmanaged, ILanes<T> => T.Load((float*)source + index + T.Count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(T value, void* target, long index) where T : unmanaged, ILanes<T> => T.Store(value, (float*)target + index);
}

internal readonly unsafe struct StoredBFloat16 : IStored
{
    public static int Bytes => sizeof(ushort);

    public static bool Interleaves => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(void* source, long index) where T : unmanaged, ILanes<T> => T.LoadBFloat16((ushort*)source + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T First<T>(void* source, long index) where T : unmanaged, ILanes<T> => T.LoadBFloat16Even((ushort*)source + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Second<T>(void* source, long index) where T : unmanaged, ILanes<T> => T.LoadBFloat16Odd((ushort*)source + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(T value, void* target, long index)
        where T : unmanaged, ILanes<T> => T.StoreBFloat16(value, (ushort*)target + index);
}
