using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>Threads that share many short loops, one after the other: between two loops they spin, so that a loop reaches them in a
/// fraction of a microsecond, and loops of a few microseconds are worth sharing.</summary>
/// <remarks>They are libtorch's own threads, held for as long as <see cref="Run"/> takes. A loop does not wait for a thread that the system
/// runs elsewhere: its part is taken by the others. Not thread-safe: one <see cref="Run"/> at a time.</remarks>
internal sealed class ThreadTeam
{
    // A part is taken in so many pieces, of which those that are left go to threads that are done with their own.
    private const int Pieces = 4;

    // Numbers in two lines of the cache: processors fetch them in pairs.
    private const int Apart = 16;

    // How long to spin before the system may run another thread here.
    private const int Patience = 1 << 14;

    private int threads = 1;
    private long[] next = []; // where each thread's part goes on, apart from the others'
    private Action<long, long>? body;
    private long count, piece;
    private int loop; // odd while a loop is open
    private int helping; // threads in it, besides the one that opened it
    private bool ended;

    /// <summary>Runs work whose loops (<see cref="For"/>) the threads share.</summary>
    /// <param name="work">Runs on one thread, the calling one where libtorch gives it the first part.</param>
    /// <param name="alone">Whether none of the loops is worth another thread.</param>
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

    /// <summary>Runs <paramref name="body"/> over [0, count), cut into pieces; each index must be computed the same whatever piece it is
    /// in. A thread gets the same part of equal counts each time, as far as it is in time, whose memory is then in its cache.</summary>
    /// <param name="count">How many indices.</param>
    /// <param name="grain">Fewer than this are not worth a thread.</param>
    /// <param name="body">Called with the begin and the end of a piece, on several threads at a time.</param>
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

    // What is left of the thread's own part, then of the others'.
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
