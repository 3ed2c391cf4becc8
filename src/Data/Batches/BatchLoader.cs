using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Trainer.Data.Batches;

/// <summary>Yields a stream's batches in order, read ahead by any number of threads or on the caller's. For one consumer.</summary>
public sealed class BatchLoader : IDisposable
{
    private readonly BatchStream stream;
    private readonly int rows;
    private readonly int depth;
    private readonly Lock planning = new();
    private readonly Queue<Slot> ahead = new();
    private readonly SemaphoreSlim room;
    private readonly SemaphoreSlim planned = new(0);
    private readonly Thread[] threads;
    private readonly CancellationTokenSource closing = new();
    private StreamPosition position;
    private bool hasStarted;
    private ExceptionDispatchInfo? failure;

    /// <summary>Takes over a stream at its current position. With 0 threads each batch is read when requested.</summary>
    public BatchLoader(BatchStream stream, int rows, int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        (this.stream, this.rows, depth, position) = (stream, rows, 2 * threads, stream.Position);
        room = new SemaphoreSlim(depth);
        this.threads = [.. Enumerable.Range(0, threads).Select(i => new Thread(ReadAhead) { IsBackground = true, Name = $"batches {i}" })];
    }

    /// <summary>The position of the next row to return, whatever was read ahead; can be set before the first batch is taken.</summary>
    public StreamPosition Position
    {
        get => threads.Length == 0 ? stream.Position : position;
        set
        {
            if (hasStarted)
                throw new InvalidOperationException("threads read ahead already; set the position before the first batch is taken");
            stream.Position = value;
            position = value;
        }
    }

    /// <summary>The next batch; throws where the data is damaged.</summary>
    public Batch Next()
    {
        if (threads.Length == 0)
            return stream.Next(rows);
        Start();
        planned.Wait();
        var slot = Dequeue();
        try
        {
            var batch = slot.Batch.Task.GetAwaiter().GetResult();
            position = slot.After;
            return batch;
        }
        finally
        {
            room.Release();
        }
    }

    /// <summary>Stops the threads and waits for them.</summary>
    public void Dispose()
    {
        closing.Cancel();
        if (hasStarted)
            foreach (var thread in threads)
                thread.Join();
        closing.Dispose();
        room.Dispose();
        planned.Dispose();
    }

    private void Start()
    {
        if (hasStarted)
            return;
        hasStarted = true;
        foreach (var thread in threads)
            thread.Start();
    }

    /// <summary>Dequeues the first planned batch; throws what stopped planning when none is left.</summary>
    private Slot Dequeue()
    {
        lock (planning)
            if (ahead.TryDequeue(out var slot))
                return slot;
        planned.Release();   // the next call fails again
        failure!.Throw();
        throw new UnreachableException();
    }

    private void ReadAhead()
    {
        try
        {
            while (true)
            {
                room.Wait(closing.Token);
                if (Plan() is not { } slot)
                    return;
                slot.Fill();
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Takes the next rows under the lock, so the order is the stream's.</summary>
    private Slot? Plan()
    {
        lock (planning)
        {
            if (failure is not null)
                return null;
            try
            {
                var slot = new Slot(stream.Take(rows), stream.Position);
                ahead.Enqueue(slot);
                return slot;
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);   // thrown after the batches planned before it
                return null;
            }
            finally
            {
                planned.Release();
            }
        }
    }

    private sealed record Slot(Func<Batch> Read, StreamPosition After)
    {
        public TaskCompletionSource<Batch> Batch { get; } = new();

        public void Fill()
        {
            try
            {
                Batch.SetResult(Read());
            }
            catch (Exception e)
            {
                Batch.SetException(e);
            }
        }
    }
}
