using System.Runtime.ExceptionServices;

namespace Trainer.Kernels;

/// <summary>Threads that each compute a part of the work by themselves, every operation on one core.</summary>
/// <remarks>On a CPU this beats splitting every operation over the cores: no core waits for another but at the end. Dispose scopes
/// and gradient modes belong to a thread: what work makes it frees, or detaches and hands over. Not for work that draws
/// random numbers from libtorch's own generators, whose order would depend on timing.</remarks>
public sealed class WorkerThreads : IDisposable
{
    private readonly Thread[] threads;
    private readonly SemaphoreSlim[] starts;
    private readonly CountdownEvent finished;
    private readonly Exception?[] failures;
    private Action<int>? work;

    /// <summary>Starts the threads, which then wait.</summary>
    /// <param name="count">How many, at least one.</param>
    public WorkerThreads(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        finished = new CountdownEvent(count);
        failures = new Exception?[count];
        starts = [.. Enumerable.Range(0, count).Select(_ => new SemaphoreSlim(0))];
        threads = [.. Enumerable.Range(0, count).Select(Start)];
    }

    /// <summary>How many threads there are.</summary>
    public int Count => threads.Length;

    /// <summary>Runs work on every thread at once and waits for all.</summary>
    /// <param name="work">Told which thread it is on, from 0.</param>
    /// <exception cref="Exception">The failure of the first thread, by number, that failed.</exception>
    public void Run(Action<int> work)
    {
        this.work = work;
        finished.Reset();
        foreach (var start in starts) start.Release();
        finished.Wait();
        this.work = null;
        if (Array.Find(failures, failure => failure is not null) is { } first) ExceptionDispatchInfo.Throw(first);
    }

    /// <summary>Ends the threads.</summary>
    public void Dispose()
    {
        work = null;
        foreach (var start in starts) start.Release();
        foreach (var thread in threads) thread.Join();
        foreach (var start in starts) start.Dispose();
        finished.Dispose();
    }

    private Thread Start(int index)
    {
        var thread = new Thread(() => Serve(index)) { IsBackground = true, Name = $"worker {index}" };
        thread.Start();
        return thread;
    }

    private void Serve(int index)
    {
        TorchContext.LimitThisThread(1);
        while (true)
        {
            starts[index].Wait();
            if (work is null) return;
            failures[index] = Attempt(index);
            finished.Signal();
        }
    }

    private Exception? Attempt(int index)
    {
        try
        {
            work!(index);
            return null;
        }
        catch (Exception error)
        {
            return error;
        }
    }
}
