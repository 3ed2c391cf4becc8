using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Trainer.Configuration;

namespace Trainer.Distributed;

/// <summary>The one thread that calls MPI: it carries out collectives in their order while the rank computes, and tells other ranks that
/// ask how far this one is.</summary>
/// <remarks>MPI's waiting calls keep a core busy. This thread tests, sleeps and tests again, and sleeps longer as time goes on.</remarks>
internal sealed unsafe class MpiThread
{
    private const int QueryTag = 1, AnswerTag = 2;
    private const int AnswerBytes = 256;

    private static readonly TimeSpan Idle = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan AnswersTake = TimeSpan.FromSeconds(2);

    private readonly MpiLibrary mpi;
    private readonly MpiConstants constants;
    private readonly Thread thread;
    private readonly ConcurrentQueue<MpiOperation> queue = new();
    private readonly SemaphoreSlim ready = new(0);
    private readonly ManualResetEventSlim started = new(), asked = new(), ended = new();
    private readonly Lock begin = new();
    private readonly byte* status = (byte*)NativeMemory.AllocZeroed(256); // MPI_Status has 24 to 40 bytes
    private readonly byte* message = (byte*)NativeMemory.AllocZeroed(AnswerBytes);
    private volatile Exception? failure;
    private volatile MpiOperation? last, late;
    private volatile bool isClosing;
    private int? abortCode;
    private long begun;
    private string findings = "";

    public MpiThread(MpiLibrary mpi, TimeSpan timeout)
    {
        (this.mpi, constants, Timeout) = (mpi, mpi.Constants, timeout);
        thread = new(Run) { IsBackground = true, Name = "MPI" };
    }

    public int Rank { get; private set; }

    public int Size { get; private set; } = 1;

    public int LocalRank { get; private set; }

    public int LocalSize { get; private set; } = 1;

    public int Machines { get; private set; } = 1;

    public TimeSpan Timeout { get; set; }

    /// <summary>Where a call puts the request that <see cref="MpiOperation.Steps"/> waits for.</summary>
    public nint* Request { get; } = (nint*)NativeMemory.AllocZeroed((nuint)sizeof(nint));

    /// <summary>Initialises MPI and waits until all ranks have.</summary>
    /// <exception cref="UserException">They do not come in time, or the library reports a fault.</exception>
    public void Start()
    {
        thread.Start();
        if (!started.Wait(Timeout))
            throw new UserException($"{mpi.Name} waited {Timeout.TotalSeconds:0.#} s for the other processes to start.");
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);
    }

    public MpiOperation Begin(MpiOperation operation)
    {
        ObjectDisposedException.ThrowIf(isClosing, typeof(MpiProcessGroup));
        lock (begin)
        {
            operation.Number = ++begun;
            last = operation;
            queue.Enqueue(operation);
        }
        ready.Release();
        return operation;
    }

    /// <summary>Throws, with the ranks that an operation waits for; it may come to an end in the meantime.</summary>
    public void GiveUp(MpiOperation operation)
    {
        late = operation;
        // The thread may be within a call that never returns.
        string text = asked.Wait(2 * AnswersTake) ? findings : "nothing is known of the other ranks";
        if (operation.IsFinished) return;
        failure = new UserException($"rank {Rank} of {Size}: {operation.What} took longer than {Timeout.TotalSeconds:0.#} s; {text}.");
        throw failure;
    }

    public void Abort(int exitCode)
    {
        abortCode = exitCode;
        ready.Release();
        ended.Wait(2 * AnswersTake); // MPI_Abort does not return.
        Environment.Exit(exitCode);
    }

    /// <summary>Leaves MPI when all ranks do; after a failure, without waiting for them.</summary>
    public void Close()
    {
        if (isClosing) return;
        isClosing = true;
        ready.Release();
        if (failure is null) ended.Wait(Timeout);
    }

    /// <summary>Throws if a call of MPI failed.</summary>
    public void Check(int code, string what)
    {
        if (code != 0) throw new UserException($"rank {Rank} of {Size}: {what}: {mpi.ErrorText(code)}");
    }

    private void Run()
    {
        ShortSleep.Prepare();
        try
        {
            Initialize();
            started.Set();
        }
        catch (Exception error)
        {
            failure = error;
            started.Set();
            return;
        }
        while (Next() is { } operation) Carry(operation);
        if (failure is null) mpi.Finalize();
        ended.Set();
    }

    private void Initialize()
    {
        int number;
        Check(mpi.InitThread(null, null, constants.Funneled, &number), "MPI_Init_thread");
        Check(mpi.CommSetErrorHandler(constants.World, constants.ErrorsReturn), "MPI_Comm_set_errhandler");
        Check(mpi.CommRank(constants.World, &number), "MPI_Comm_rank");
        Rank = number;
        Check(mpi.CommSize(constants.World, &number), "MPI_Comm_size");
        Size = number;
        nint machine = 0;
        Check(mpi.CommSplitType(constants.World, constants.SharedMemory, Rank, constants.NoInfo, &machine), "MPI_Comm_split_type");
        Check(mpi.CommRank(machine, &number), "MPI_Comm_rank");
        LocalRank = number;
        Check(mpi.CommSize(machine, &number), "MPI_Comm_size");
        LocalSize = number;
        Check(mpi.CommFree(&machine), "MPI_Comm_free");
        long* firsts = (long*)message;
        *firsts = LocalRank == 0 ? 1 : 0;
        int code = mpi.IAllReduce(constants.InPlace, (nint)firsts, 1, constants.Int64, constants.Sum, constants.World, Request);
        Check(code, "MPI_Iallreduce");
        Complete("MPI_Iallreduce");
        Machines = (int)*firsts;
    }

    private MpiOperation? Next()
    {
        while (true)
        {
            Attend();
            if (queue.TryDequeue(out var operation)) return operation;
            if (isClosing) return null;
            ready.Wait(Idle);
        }
    }

    private void Carry(MpiOperation operation)
    {
        try
        {
            if (failure is not null) ExceptionDispatchInfo.Throw(failure);
            foreach (int code in operation.Steps)
            {
                Check(code, operation.What);
                Complete(operation.What);
            }
            operation.Finish(null);
        }
        catch (Exception error)
        {
            failure ??= error;
            operation.Finish(error);
        }
    }

    private void Complete(string what)
    {
        var wait = new ShortSleep();
        while (true)
        {
            int done = 0;
            Check(mpi.Test(Request, &done, status), what);
            if (done != 0) return;
            if (wait.Longer()) Attend();
        }
    }

    // What is due beside collectives. The probe also lets the library send what it has put off.
    private void Attend()
    {
        if (abortCode is { } exitCode) _ = mpi.Abort(constants.World, exitCode);
        Answer();
        if (late is { } operation && !asked.IsSet)
        {
            findings = Ask(operation.Number);
            asked.Set();
        }
    }

    private void Answer()
    {
        int isThere = 0;
        Check(mpi.IProbe(constants.AnySource, QueryTag, constants.World, &isThere, status), "MPI_Iprobe");
        if (isThere == 0) return;
        int asker;
        Check(mpi.Receive((nint)(&asker), sizeof(int), constants.Byte, constants.AnySource, QueryTag, constants.World, status), "MPI_Recv");
        var text = new Span<byte>(message + 16, AnswerBytes - 16);
        text.Clear();
        Encoding.UTF8.TryGetBytes(last?.What ?? "", text, out _);
        *(int*)message = Rank;
        *(long*)(message + 8) = Volatile.Read(ref begun);
        Check(mpi.Send((nint)message, AnswerBytes, constants.Byte, asker, AnswerTag, constants.World), "MPI_Send");
    }

    // Who has not come to the operation of that number.
    private string Ask(long number)
    {
        int self = Rank;
        for (int rank = 0; rank < Size; rank++)
            if (rank != Rank)
                Check(mpi.Send((nint)(&self), sizeof(int), constants.Byte, rank, QueryTag, constants.World), "MPI_Send");
        var answers = new (long Begun, string Last)?[Size];
        answers[Rank] = (number, "");
        var time = Stopwatch.StartNew();
        while (time.Elapsed < AnswersTake && answers.Contains(null))
        {
            Answer();
            Receive(answers);
            Thread.Sleep(1);
        }
        string[] lines = [.. answers.Select((answer, rank) => answer switch
        {
            null => $"rank {rank} does not answer",
            (0, _) => $"rank {rank} has not begun any",
            ({ } begun, { } last) when begun < number => $"rank {rank} has not begun it, its last was a {last}",
            _ => "",
        }).Where(line => line.Length > 0)];
        return lines.Length == 0 ? "all ranks have begun it"
            : string.Join(", ", lines.Take(4)) + (lines.Length > 4 ? $" and {lines.Length - 4} more" : "");
    }

    private void Receive((long, string)?[] answers)
    {
        int isThere = 0;
        Check(mpi.IProbe(constants.AnySource, AnswerTag, constants.World, &isThere, status), "MPI_Iprobe");
        if (isThere == 0) return;
        int code = mpi.Receive(
            (nint)message, AnswerBytes, constants.Byte, constants.AnySource, AnswerTag, constants.World, status);
        Check(code, "MPI_Recv");
        string last = Encoding.UTF8.GetString(new Span<byte>(message + 16, AnswerBytes - 16)).TrimEnd('\0');
        answers[*(int*)message] = (*(long*)(message + 8), last);
    }
}
