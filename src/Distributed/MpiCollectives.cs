using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>The calls that each collective consists of, as steps of a <see cref="MpiOperation"/>: run by the thread of MPI.</summary>
internal sealed unsafe class MpiCollectives
{
    // Elements that are summed at once: what the ranks send of them stays in the cache, and no more memory is taken.
    private const int Piece = 1 << 20;
    // Bytes of all ranks together up to which each rank adds everything itself, which saves the second call.
    private const int Little = 1 << 14;
    private const int Lanes = 32; // Shares begin at whole vectors.

    private readonly MpiLibrary mpi;
    private readonly MpiConstants constants;
    private readonly int rank, size;
    private readonly nint* request;
    // The arguments of the two calls that take arrays.
    private readonly int* sent, sentFrom, received, receivedAt;
    private nint staging;
    private long stagingBytes;

    public MpiCollectives(MpiLibrary mpi, MpiThread thread)
    {
        (this.mpi, constants, rank, size) = (mpi, mpi.Constants, thread.Rank, thread.Size);
        request = thread.Request;
        sent = (int*)NativeMemory.AllocZeroed(4 * (nuint)size, sizeof(int));
        sentFrom = sent + size;
        received = sent + 2 * size;
        receivedAt = sent + 3 * size;
    }

    public IEnumerable<int> Barrier()
    {
        yield return StartBarrier();
    }

    public IEnumerable<int> Broadcast(nint data, long count, ScalarType type, int root)
    {
        if (count > 0) yield return StartBroadcast(data, (int)count, type, root);
    }

    public IEnumerable<int> Gather(nint part, nint whole, long count, ScalarType type, bool isInPlace, int root)
    {
        if (count > 0) yield return StartGather(isInPlace ? constants.InPlace : part, whole, (int)count, type, root);
    }

    public IEnumerable<int> AllGather(nint part, nint whole, long count, ScalarType type, bool isInPlace)
    {
        if (count > 0) yield return StartAllGather(isInPlace ? constants.InPlace : part, whole, (int)count, type);
    }

    /// <summary>A sum in the order of ranks, or in the library's, which knows no bfloat16.</summary>
    public IEnumerable<int> Sum(nint data, long count, ScalarType type, bool inRankOrder) =>
        inRankOrder || type == ScalarType.BFloat16 ? SumInRankOrder(data, count, type) : SumByLibrary(data, (int)count, type);

    /// <summary>The same, of which each rank keeps its part; that may stand in the whole.</summary>
    public IEnumerable<int> ReduceScatter(nint whole, nint part, long count, ScalarType type, bool inRankOrder) =>
        inRankOrder || type == ScalarType.BFloat16
            ? ReduceScatterInRankOrder(whole, part, (int)count, type)
            : ReduceScatterByLibrary(whole, part, (int)count, type);

    private IEnumerable<int> SumByLibrary(nint data, int count, ScalarType type)
    {
        if (count > 0) yield return StartAllReduce(data, count, type);
    }

    private IEnumerable<int> ReduceScatterByLibrary(nint whole, nint part, int count, ScalarType type)
    {
        if (count == 0) yield break;
        // MPI has no form that leaves a part where it stands in the whole, nor may the two overlap.
        nint target = Staging((long)count * Width(type));
        yield return StartReduceScatter(whole, target, count, type);
        Copy(target, part, (long)count * Width(type));
    }

    // Each rank gets its share of all others' data, adds, and hands the result out.
    private IEnumerable<int> SumInRankOrder(nint data, long count, ScalarType type)
    {
        int width = Width(type);
        for (long begin = 0; begin < count; begin += Piece)
        {
            nint piece = data + (nint)begin * width;
            int length = (int)Math.Min(Piece, count - begin);
            long all = (long)length * width * size;
            if (all <= Little)
            {
                nint others = Staging(all);
                yield return StartAllGather(piece, others, length, type);
                Add(type, others, length, others + rank * length * width, piece, length);
                continue;
            }
            var shares = new Shares(length, size);
            nint terms = Staging((long)size * shares.LengthOf(rank) * width), result = piece + shares.BeginOf(rank) * width;
            yield return ExchangeShares(piece, terms, shares, type);
            Add(type, terms, shares.LengthOf(rank), result, result, shares.LengthOf(rank));
            yield return HandOut(piece, shares, type);
        }
    }

    private IEnumerable<int> ReduceScatterInRankOrder(nint whole, nint part, int count, ScalarType type)
    {
        int width = Width(type), most = Math.Max(Piece / size, Lanes);
        for (int begin = 0; begin < count; begin += most)
        {
            int length = Math.Min(most, count - begin);
            nint terms = Staging((long)size * length * width), own = whole + (rank * (nint)count + begin) * width;
            yield return ExchangePieces(whole, terms, count, begin, length, type);
            Add(type, terms, length, own, part + (nint)begin * width, length);
        }
    }

    private int ExchangeShares(nint piece, nint terms, Shares shares, ScalarType type)
    {
        int own = shares.LengthOf(rank);
        for (int other = 0; other < size; other++)
        {
            (sent[other], received[other]) = other == rank ? (0, 0) : (shares.LengthOf(other), own);
            (sentFrom[other], receivedAt[other]) = (shares.BeginOf(other), other * own);
        }
        return mpi.IAllToAllV(piece, sent, sentFrom, Type(type), terms, received, receivedAt, Type(type), constants.World, request);
    }

    private int ExchangePieces(nint whole, nint terms, int stride, int begin, int length, ScalarType type)
    {
        for (int other = 0; other < size; other++)
        {
            sent[other] = received[other] = other == rank ? 0 : length;
            (sentFrom[other], receivedAt[other]) = (other * stride + begin, other * length);
        }
        return mpi.IAllToAllV(whole, sent, sentFrom, Type(type), terms, received, receivedAt, Type(type), constants.World, request);
    }

    private int HandOut(nint piece, Shares shares, ScalarType type)
    {
        for (int other = 0; other < size; other++)
            (received[other], receivedAt[other]) = (shares.LengthOf(other), shares.BeginOf(other));
        return mpi.IAllGatherV(constants.InPlace, 0, Type(type), piece, received, receivedAt, Type(type), constants.World, request);
    }

    private int StartBarrier() => mpi.IBarrier(constants.World, request);

    private int StartBroadcast(nint data, int count, ScalarType type, int root) =>
        mpi.IBroadcast(data, count, Type(type), root, constants.World, request);

    private int StartGather(nint part, nint whole, int count, ScalarType type, int root) =>
        mpi.IGather(part, count, Type(type), whole, count, Type(type), root, constants.World, request);

    private int StartAllGather(nint part, nint whole, int count, ScalarType type) =>
        mpi.IAllGather(part, count, Type(type), whole, count, Type(type), constants.World, request);

    private int StartAllReduce(nint data, int count, ScalarType type) =>
        mpi.IAllReduce(constants.InPlace, data, count, Type(type), constants.Sum, constants.World, request);

    private int StartReduceScatter(nint whole, nint part, int count, ScalarType type) =>
        mpi.IReduceScatterBlock(whole, part, count, Type(type), constants.Sum, constants.World, request);

    // The terms stand one after the other, with a gap for this rank's own, which stands elsewhere.
    private void Add(ScalarType type, nint terms, int length, nint own, nint target, int count)
    {
        Span<nint> addresses = size <= 64 ? stackalloc nint[size] : new nint[size];
        for (int other = 0; other < size; other++)
            addresses[other] = other == rank ? own : terms + other * (nint)length * Width(type);
        RankOrderSum.Run(type, addresses, target, count);
    }

    private nint Staging(long bytes)
    {
        if (bytes <= stagingBytes) return staging;
        NativeMemory.AlignedFree((void*)staging);
        (staging, stagingBytes) = ((nint)NativeMemory.AlignedAlloc((nuint)bytes, 64), bytes);
        return staging;
    }

    private static void Copy(nint source, nint target, long bytes) => Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);

    // bfloat16, which MPI does not know, is only moved.
    private nint Type(ScalarType type) => type switch
    {
        ScalarType.Float32 => constants.Float,
        ScalarType.Float64 => constants.Double,
        ScalarType.Int64 => constants.Int64,
        ScalarType.BFloat16 => constants.UInt16,
        _ => constants.Byte,
    };

    private static int Width(ScalarType type) => type switch
    {
        ScalarType.Float32 => sizeof(float),
        ScalarType.BFloat16 => sizeof(ushort),
        ScalarType.Byte => sizeof(byte),
        _ => sizeof(long),
    };

    /// <summary>Which elements each rank adds.</summary>
    private readonly record struct Shares(int Length, int Ranks)
    {
        private readonly int share = (Length / Ranks / Lanes + 1) * Lanes;

        public int BeginOf(int rank) => (int)Math.Min((long)rank * share, Length);

        public int LengthOf(int rank) => BeginOf(rank + 1) - BeginOf(rank);
    }
}
