using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>Loops shared among the threads of libtorch's own operators.</summary>
internal static unsafe class ParallelFor
{
    private static readonly delegate* unmanaged[Cdecl]<long, long, long, delegate* unmanaged[Cdecl]<long, long, nint, void>, nint, int>
        Torch = (delegate* unmanaged[Cdecl]<long, long, long, delegate* unmanaged[Cdecl]<long, long, nint, void>, nint, int>)
            TorchLibrary.OptionalExport("torch_parallel_for");

    /// <summary>Runs <paramref name="body"/>(begin, end) over [0, count) in parts, on several threads above a grain of indices. Parts
    /// depend on the number of threads, so each index must be computed the same in any part.</summary>
    public static void Run(long count, long grain, Action<long, long> body)
    {
        if (count <= 0) return;
        if (count <= grain || Torch is null || torch.get_num_threads() == 1)
        {
            body(0, count);
            return;
        }
        State state = new(body);
        using GCHandle<State> handle = new(state);
        int status = Torch(0, count, grain, &Call, GCHandle<State>.ToIntPtr(handle));
        state.Failure?.Throw();
        if (status != 0) throw new InvalidOperationException("libtorch could not run a loop on its threads.");
    }

    /// <summary>The same for parts that may take unequal times: a thread that is done fetches half of an equal share of the rest.</summary>
    public static void RunGuided(long count, long grain, Action<long, long> body)
    {
        long threads = Math.Min(torch.get_num_threads(), (count + grain - 1) / grain), next = 0;
        if (threads <= 1)
        {
            Run(count, count, body);
            return;
        }
        Run(threads, 1, (_, _) =>
        {
            while (true)
            {
                long begin = Volatile.Read(ref next);
                if (begin >= count) return;
                long end = Math.Min(count, begin + Math.Max(grain, (count - begin) / (2 * threads)));
                if (Interlocked.CompareExchange(ref next, end, begin) == begin) body(begin, end);
            }
        });
    }

    public static void Run<TLoop>(long count, long grain, TLoop loop) where TLoop : struct, ILoop =>
        Run(count, grain, (begin, end) => Lanes.Run(loop, begin, end));

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Call(long begin, long end, nint context)
    {
        State state = GCHandle<State>.FromIntPtr(context).Target;
        try
        {
            state.Body(begin, end);
        }
        catch (Exception error)
        {
            Interlocked.CompareExchange(ref state.Failure, ExceptionDispatchInfo.Capture(error), null);
        }
    }

    private sealed class State(Action<long, long> body)
    {
        public readonly Action<long, long> Body = body;
        public ExceptionDispatchInfo? Failure;
    }
}
