using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>Processes with a GPU each: tensors of the GPU go through NCCL, those of the host through the group that joined the
/// processes.</summary>
/// <remarks>Collectives run on a stream of their own, after what their tensors were computed by when they were begun. Never ran: no machine
/// with two GPUs was there.</remarks>
public sealed unsafe class NcclProcessGroup : IProcessGroup
{
    private static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(100);

    private readonly IProcessGroup host;
    private readonly NcclLibrary nccl;
    private readonly CudaStreams streams;
    private readonly nint communicator, stream;
    private readonly LinkedList<Operation> underWay = [];
    private readonly ManualResetEventSlim closing = new();
    private readonly Thread watchdog;
    private volatile Exception? failure;

    private NcclProcessGroup(IProcessGroup host, NcclLibrary nccl, int device)
    {
        (this.host, this.nccl, Device) = (host, nccl, device);
        streams = new(device);
        stream = streams.CreateStream();
        NcclLibrary.UniqueId id = default;
        if (Rank == 0) nccl.Check(nccl.GetUniqueId(&id), "ncclGetUniqueId");
        var bytes = MemoryMarshal.AsBytes(new Span<NcclLibrary.UniqueId>(ref id));
        host.Broadcast(bytes.ToArray()).CopyTo(bytes);
        nint created;
        nccl.Check(nccl.CommInitRank(&created, Size, id, Rank), "ncclCommInitRank");
        communicator = created;
        watchdog = new(Guard) { IsBackground = true, Name = "NCCL" };
        watchdog.Start();
    }

    /// <inheritdoc/>
    public int Rank => host.Rank;

    /// <inheritdoc/>
    public int Size => host.Size;

    /// <inheritdoc/>
    public int LocalRank => host.LocalRank;

    /// <inheritdoc/>
    public int LocalSize => host.LocalSize;

    /// <summary>This rank's CUDA device.</summary>
    public int Device { get; }

    /// <inheritdoc/>
    public string Description => $"NCCL {nccl.Version}, {host.Description}";

    /// <inheritdoc/>
    public TimeSpan Timeout
    {
        get => host.Timeout;
        set => host.Timeout = value;
    }

    /// <summary>Gives every rank of a group a GPU.</summary>
    /// <param name="host">The group, which the new one owns.</param>
    /// <param name="own">This rank's GPU; null for that of its local rank, or the only one that it sees.</param>
    /// <exception cref="LaunchException">A rank has no NCCL, or a machine has fewer GPUs than ranks: the same on all of them.</exception>
    public static NcclProcessGroup Create(IProcessGroup host, int? own = null)
    {
        NcclLibrary? library = null;
        int device = 0;
        string problem = "";
        try
        {
            device = own ?? DeviceOf(host.LocalRank, host.LocalSize, cuda.device_count());
            library = NcclLibrary.Load();
        }
        catch (LaunchException error)
        {
            problem = $"rank {host.Rank} of {host.Size} ({Environment.MachineName}): {error.Message}";
        }
        // A rank that left here would let the others wait.
        if (host.AllGather(problem).FirstOrDefault(line => line.Length > 0) is { } first) throw new LaunchException(first);
        return new(host, library!, device);
    }

    /// <inheritdoc/>
    public PendingCollective BeginSum(Tensor tensor)
    {
        if (IsOnHost(tensor)) return host.BeginSum(tensor);
        CollectiveArguments.CheckSum(tensor);
        nint data = Address(tensor);
        return Begin(
            CollectiveArguments.Describe("sum", tensor),
            () => nccl.AllReduce(data, data, (nuint)tensor.numel(), Type(tensor), NcclLibrary.Sum, communicator, stream), tensor);
    }

    /// <inheritdoc/>
    public PendingCollective BeginBroadcast(Tensor tensor, int root = 0)
    {
        if (IsOnHost(tensor)) return host.BeginBroadcast(tensor, root);
        CollectiveArguments.Check(tensor);
        CollectiveArguments.CheckRoot(root, Size);
        nint data = Address(tensor);
        return Begin(
            CollectiveArguments.Describe("broadcast", tensor),
            () => nccl.Broadcast(data, data, (nuint)tensor.numel(), Type(tensor), root, communicator, stream), tensor);
    }

    /// <inheritdoc/>
    public PendingCollective BeginGather(Tensor part, Tensor? whole, int root = 0)
    {
        if (IsOnHost(part)) return host.BeginGather(part, whole, root);
        CollectiveArguments.Check(part);
        CollectiveArguments.CheckRoot(root, Size);
        if (Rank != root)
            return Begin(
                CollectiveArguments.Describe("gather", part),
                () => nccl.Send(Address(part), (nuint)part.numel(), Type(part), root, communicator, stream), part);
        ArgumentNullException.ThrowIfNull(whole);
        if (!CollectiveArguments.CheckParts(part, whole, Rank, Size))
        {
            using var scope = NewDisposeScope();
            using var gradients = no_grad();
            whole.view(Size, -1)[Rank].copy_(part.view(-1));
        }
        return Begin(CollectiveArguments.Describe("gather", part), () => ReceiveAll(part, whole), part, whole);
    }

    /// <inheritdoc/>
    public PendingCollective BeginAllGather(Tensor part, Tensor whole)
    {
        if (IsOnHost(part)) return host.BeginAllGather(part, whole);
        CollectiveArguments.CheckParts(part, whole, Rank, Size);
        nint source = Address(part), target = Address(whole);
        return Begin(
            CollectiveArguments.Describe("all-gather", part),
            () => nccl.AllGather(source, target, (nuint)part.numel(), Type(part), communicator, stream), part, whole);
    }

    /// <inheritdoc/>
    public PendingCollective BeginReduceScatter(Tensor whole, Tensor part)
    {
        if (IsOnHost(whole)) return host.BeginReduceScatter(whole, part);
        CollectiveArguments.CheckSum(whole);
        CollectiveArguments.CheckParts(part, whole, Rank, Size);
        nint source = Address(whole), target = Address(part);
        return Begin(
            CollectiveArguments.Describe("reduce-scatter", whole),
            () => nccl.ReduceScatter(source, target, (nuint)part.numel(), Type(part), NcclLibrary.Sum, communicator, stream),
            whole, part);
    }

    /// <inheritdoc/>
    public void Barrier() => host.Barrier();

    /// <inheritdoc/>
    public void Abort(int exitCode) => host.Abort(exitCode);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (closing.IsSet) return;
        closing.Set();
        watchdog.Join();
        if (failure is null)
        {
            nccl.Check(nccl.CommDestroy(communicator), "ncclCommDestroy");
            streams.DestroyStream(stream);
        }
        host.Dispose();
    }

    /// <summary>The device of a local rank, where a machine has so many ranks and this process sees so many devices.</summary>
    internal static int DeviceOf(int localRank, int localSize, int visible) =>
        visible >= localSize ? localRank
        // Slurm and wrappers show each process its own.
        : visible == 1 ? 0
        : throw new LaunchException($"{localSize} processes are on one machine, and {visible} GPUs are visible: start as many processes as "
            + "there are GPUs; NCCL takes one process for each.");

    /// <summary>ncclDataType_t.</summary>
    internal static int Type(ScalarType type) => type switch
    {
        ScalarType.Byte => 1, // ncclUint8
        ScalarType.Int64 => 4,
        ScalarType.Float32 => 7,
        ScalarType.Float64 => 8,
        ScalarType.BFloat16 => 9,
        _ => throw new ArgumentException($"NCCL has no {type}.", nameof(type)),
    };

    private static int Type(Tensor tensor) => Type(tensor.dtype);

    private static bool IsOnHost(Tensor tensor) => tensor.device_type == TorchSharp.DeviceType.CPU;

    private static nint Address(Tensor tensor) => (nint)tensor.DataPointer;

    private int ReceiveAll(Tensor part, Tensor whole)
    {
        nint bytes = (nint)(part.numel() * part.element_size());
        nccl.Check(nccl.GroupStart(), "ncclGroupStart");
        for (int rank = 0; rank < Size; rank++)
            if (rank != Rank)
                nccl.Check(
                    nccl.Receive(Address(whole) + rank * bytes, (nuint)part.numel(), Type(part), rank, communicator, stream), "ncclRecv");
        return nccl.GroupEnd();
    }

    private Operation Begin(string what, Func<int> call, params ReadOnlySpan<Tensor> tensors)
    {
        ThrowIfFailed();
        nint computed = streams.Record(streams.Current);
        streams.Await(stream, computed);
        streams.Destroy(computed); // CUDA keeps it until it has happened.
        nccl.Check(call(), what);
        var own = new Tensor[tensors.Length];
        for (int index = 0; index < own.Length; index++) own[index] = tensors[index].detach().DetachFromDisposeScope();
        var operation = new Operation(this, what, streams.Record(stream), own);
        lock (underWay) underWay.AddLast(operation);
        return operation;
    }

    private void ThrowIfFailed()
    {
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);
    }

    // A lost rank leaves the others' kernels waiting on their GPUs for ever, and the host with them at the next figure that it reads.
    private void Guard()
    {
        try
        {
            streams.MakeCurrent();
            while (!closing.Wait(Watch)) Look();
        }
        catch (Exception error)
        {
            failure = error;
        }
        if (failure is not null) _ = nccl.CommAbort(communicator);
    }

    private void Look()
    {
        int code;
        nccl.Check(nccl.CommGetAsyncError(communicator, &code), "ncclCommGetAsyncError");
        nccl.Check(code, $"rank {Rank} of {Size}");
        lock (underWay)
        {
            while (underWay.First is { } first && streams.HasHappened(first.Value.Over))
            {
                underWay.RemoveFirst();
                first.Value.End();
            }
            if (underWay.First is { Value: var oldest } && oldest.Elapsed > Timeout)
                throw new UserException($"rank {Rank} of {Size}: {oldest.What} took longer than {Timeout.TotalSeconds:0.#} s; another rank "
                    + "has stopped or does something else.");
        }
    }

    private sealed class Operation(NcclProcessGroup group, string what, nint over, Tensor[] tensors) : PendingCollective
    {
        private readonly Stopwatch time = Stopwatch.StartNew();

        public string What => what;

        public nint Over => over;

        public TimeSpan Elapsed => time.Elapsed;

        private bool isOver, isAwaited;

        public override void Wait()
        {
            group.ThrowIfFailed();
            lock (group.underWay)
            {
                if (isAwaited) return;
                isAwaited = true;
                if (isOver) group.streams.Destroy(over);
                else group.streams.Await(group.streams.Current, over);
            }
            // Whatever gets their memory next comes after this on the stream.
            foreach (var tensor in tensors) tensor.Dispose();
        }

        // The watchdog asks for the event until it has happened.
        public void End()
        {
            isOver = true;
            if (isAwaited) group.streams.Destroy(over);
        }
    }
}
