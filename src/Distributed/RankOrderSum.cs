using System.Numerics;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>Adds the data of several ranks in the order of ranks: ((0 + 1) + 2) + …, as one process would that computes their parts in
/// turn.</summary>
/// <remarks>bfloat16 is added in float32 and rounded once, to the nearest and then to even.</remarks>
internal static unsafe class RankOrderSum
{
    private const int Block = 2048; // elements: partial sums stay in the first-level cache

    /// <summary>Adds count elements of each rank. The target may be one of the terms.</summary>
    public static void Run(ScalarType type, ReadOnlySpan<nint> terms, nint target, int count)
    {
        switch (type)
        {
            case ScalarType.Float32:
                Run<float>(terms, target, count);
                break;
            case ScalarType.Float64:
                Run<double>(terms, target, count);
                break;
            case ScalarType.BFloat16:
                RunBFloat16(terms, target, count);
                break;
            default:
                throw new ArgumentException($"{type} is not summed in the order of ranks.", nameof(type));
        }
    }

    private static void Run<T>(ReadOnlySpan<nint> terms, nint target, int count) where T : unmanaged, INumber<T>
    {
        T* sums = stackalloc T[Block];
        for (int begin = 0; begin < count; begin += Block)
        {
            int length = Math.Min(Block, count - begin);
            Unsafe.CopyBlockUnaligned(sums, (T*)terms[0] + begin, (uint)(length * sizeof(T)));
            foreach (nint term in terms[1..]) Add(sums, (T*)term + begin, length);
            Unsafe.CopyBlockUnaligned((T*)target + begin, sums, (uint)(length * sizeof(T)));
        }
    }

    private static void Add<T>(T* sums, T* term, int length) where T : unmanaged, INumber<T>
    {
        int index = 0;
        for (; index <= length - Vector<T>.Count; index += Vector<T>.Count)
            (Vector.Load(sums + index) + Vector.Load(term + index)).Store(sums + index);
        for (; index < length; index++) sums[index] += term[index];
    }

    private static void RunBFloat16(ReadOnlySpan<nint> terms, nint target, int count)
    {
        float* sums = stackalloc float[Block];
        for (int begin = 0; begin < count; begin += Block)
        {
            int length = Math.Min(Block, count - begin);
            new Span<float>(sums, length).Fill(-0f); // what 0 or −0 does not change
            foreach (nint term in terms) AddBFloat16(sums, (ushort*)term + begin, length);
            Round(sums, (ushort*)target + begin, length);
        }
    }

    private static void AddBFloat16(float* sums, ushort* term, int length)
    {
        int index = 0;
        for (; index <= length - Vector<ushort>.Count; index += Vector<ushort>.Count)
        {
            Vector.Widen(Vector.Load(term + index), out var lower, out var upper);
            Add(sums + index, lower);
            Add(sums + index + Vector<float>.Count, upper);
        }
        for (; index < length; index++) sums[index] += BitConverter.UInt32BitsToSingle((uint)term[index] << 16);

        static void Add(float* sums, Vector<uint> term) =>
            (Vector.Load(sums) + Vector.AsVectorSingle(Vector.ShiftLeft(term, 16))).Store(sums);
    }

    private static void Round(float* sums, ushort* target, int length)
    {
        int index = 0;
        for (; index <= length - Vector<ushort>.Count; index += Vector<ushort>.Count)
        {
            var (lower, upper) = (Vector.Load(sums + index), Vector.Load(sums + index + Vector<float>.Count));
            Vector.Narrow(Rounded(lower), Rounded(upper)).Store(target + index);
        }
        for (; index < length; index++) target[index] = Rounded(sums[index]);
    }

    private static Vector<uint> Rounded(Vector<float> values)
    {
        var bits = Vector.AsVectorUInt32(values);
        var upper = Vector.ShiftRightLogical(bits, 16);
        var rounded = Vector.ShiftRightLogical(bits + new Vector<uint>(0x7fff) + (upper & Vector<uint>.One), 16);
        return Vector.ConditionalSelect(Vector.AsVectorUInt32(Vector.Equals(values, values)), rounded, new Vector<uint>(0x7fc0));
    }

    private static ushort Rounded(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)0x7fc0 : (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}
