using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>Threads that share many short loops in a row, spinning in between, so that a loop reaches them in a fraction of a microsecond
/// and even loops of a few microseconds are worth sharing.</summary>
/// <remarks>They are libtorch's own threads, held as long as <see cref="Run"/> takes. A loop does not wait for a thread that the system has
/// suspended: the others take its part. Not thread-safe: one <see cref="Run"/> at a time.</remarks>
internal sealed class ThreadTeam
{
    // Pieces of a thread's part; threads that have finished their own take what is left of others'.
    private const int Pieces = 4;

    // Counters per two cache lines: processors fetch lines in pairs.
    private const int Apart = 16;

    // Spins before yielding to the system.
    private const int Patience = 1 << 14;

    private int threads = 1;
    private long[] next = []; // where each thread's part continues, Apart from one another
    private Action<long, long>? body;
    private long count, piece;
    private int loop; // odd while a loop is open
    private int helping; // threads in it, besides the one that opened it
    private bool ended;

    /// <summary>Runs work whose loops (<see cref="For"/>) the threads share; alone if none of them is worth another thread.</summary>
    public void Run(Action work, bool alone)
    {
        threads = alone ? 1 : Math.Max(1, torch.get_num_threads());
        if (next.Length < threads * Apart) next = new long[threads * Apart];
        ended = false;
        ParallelFor.Run(threads, 1, (begin, _) =>
        {
            if (begin > 0) Help((int)begin);
            else Lead(work);
        });
    }

    /// <summary>Runs <paramref name="body"/>(begin, end) over [0, count) in pieces on several threads, or on one up to a grain of indices.
    /// Each index must be computed the same in any piece. For equal counts a thread mostly gets the same part again, still in its
    /// cache.</summary>
    public void For(long count, long grain, Action<long, long> body)
    {
        if (threads == 1 || count <= grain)
        {
            if (count > 0) body(0, count);
            return;
        }
        (this.body, this.count, piece) = (body, count, Math.Max(grain, (count + threads * Pieces - 1) / (threads * Pieces)));
        for (int part = 0; part < threads; part++) next[part * Apart] = Begin(part);
        Interlocked.Increment(ref loop);
        try
        {
            Work(0);
        }
        finally
        {
            Interlocked.Increment(ref loop);
            for (int spins = 1; Volatile.Read(ref helping) > 0; spins++) Spin(spins);
            this.body = null;
        }
    }

    private void Lead(Action work)
    {
        try
        {
            work();
        }
        finally
        {
            Volatile.Write(ref ended, true);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private void Help(int part)
    {
        int done = 0;
        for (int spins = 1; !Volatile.Read(ref ended); spins++)
        {
            int open = Volatile.Read(ref loop);
            if (open % 2 == 0 || open == done)
            {
                Spin(spins);
                continue;
            }
            Interlocked.Increment(ref helping);
            try
            {
                if (Volatile.Read(ref loop) == open) Work(part); // else it was closed before it could know of this thread
            }
            finally
            {
                Interlocked.Decrement(ref helping);
            }
            (done, spins) = (open, 0);
        }
    }

    // The rest of the thread's own part, then of the others'.
    private void Work(int own)
    {
        for (int i = 0; i < threads; i++)
        {
            int part = (own + i) % threads;
            long end = Begin(part + 1);
            while (true)
            {
                long begin = Interlocked.Add(ref next[part * Apart], piece) - piece;
                if (begin >= end) break;
                body!(begin, Math.Min(begin + piece, end));
            }
        }
    }

    private long Begin(int part) => part * count / threads;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Spin(int spins)
    {
        if (spins % Patience == 0) Thread.Yield();
        else if (X86Base.IsSupported) X86Base.Pause();
        else if (ArmBase.IsSupported) ArmBase.Yield();
        else Thread.SpinWait(1);
    }
}
