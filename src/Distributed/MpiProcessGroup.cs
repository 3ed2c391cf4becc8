using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>Processes joined by MPI: tensors in the memory of the host.</summary>
/// <remarks>One thread calls MPI; what is begun goes on beside computing. bfloat16 is added in float32 and rounded once.</remarks>
public sealed class MpiProcessGroup : IProcessGroup
{
    private readonly MpiLibrary library;
    private readonly MpiThread thread;
    private readonly MpiCollectives collectives;

    private MpiProcessGroup(MpiLibrary library, MpiThread thread, bool? inRankOrder)
    {
        (this.library, this.thread, collectives) = (library, thread, new(library, thread));
        SumsInRankOrder = inRankOrder ?? thread.Machines == 1;
    }

    /// <inheritdoc/>
    public int Rank => thread.Rank;

    /// <inheritdoc/>
    public int Size => thread.Size;

    /// <inheritdoc/>
    public int LocalRank => thread.LocalRank;

    /// <inheritdoc/>
    public int LocalSize => thread.LocalSize;

    /// <inheritdoc/>
    public string Description => $"{library.Name}, {Size} processes on {thread.Machines} {(thread.Machines == 1 ? "machine" : "machines")}";

    /// <summary>Whether float32 and float64 are added in the order of ranks, as <see cref="ProcessGroup.Join"/> says.</summary>
    public bool SumsInRankOrder { get; }

    /// <inheritdoc/>
    public TimeSpan Timeout
    {
        get => thread.Timeout;
        set => thread.Timeout = value;
    }

    /// <inheritdoc/>
    public PendingCollective BeginSum(Tensor tensor)
    {
        CollectiveArguments.CheckSum(tensor);
        CollectiveArguments.CheckHost(tensor);
        var steps = collectives.Sum(Address(tensor), tensor.numel(), tensor.dtype, InRankOrder(tensor));
        return Begin(CollectiveArguments.Describe("sum", tensor), steps, tensor);
    }

    /// <inheritdoc/>
    public PendingCollective BeginBroadcast(Tensor tensor, int root = 0)
    {
        CollectiveArguments.Check(tensor);
        CollectiveArguments.CheckHost(tensor);
        CollectiveArguments.CheckRoot(root, Size);
        var steps = collectives.Broadcast(Address(tensor), tensor.numel(), tensor.dtype, root);
        return Begin(CollectiveArguments.Describe("broadcast", tensor), steps, tensor);
    }

    /// <inheritdoc/>
    public PendingCollective BeginGather(Tensor part, Tensor? whole, int root = 0)
    {
        CollectiveArguments.Check(part);
        CollectiveArguments.CheckHost(part);
        CollectiveArguments.CheckRoot(root, Size);
        bool isInPlace = false;
        if (Rank == root)
        {
            ArgumentNullException.ThrowIfNull(whole);
            isInPlace = CollectiveArguments.CheckParts(part, whole, Rank, Size);
        }
        nint target = Rank == root ? Address(whole!) : 0;
        var steps = collectives.Gather(Address(part), target, part.numel(), part.dtype, isInPlace, root);
        return Begin(CollectiveArguments.Describe("gather", part), steps, Rank == root ? [part, whole!] : [part]);
    }

    /// <inheritdoc/>
    public PendingCollective BeginAllGather(Tensor part, Tensor whole)
    {
        bool isInPlace = CollectiveArguments.CheckParts(part, whole, Rank, Size);
        CollectiveArguments.CheckHost(part);
        var steps = collectives.AllGather(Address(part), Address(whole), part.numel(), part.dtype, isInPlace);
        return Begin(CollectiveArguments.Describe("all-gather", part), steps, part, whole);
    }

    /// <inheritdoc/>
    public PendingCollective BeginReduceScatter(Tensor whole, Tensor part)
    {
        CollectiveArguments.CheckSum(whole);
        CollectiveArguments.CheckParts(part, whole, Rank, Size);
        CollectiveArguments.CheckHost(whole);
        var steps = collectives.ReduceScatter(Address(whole), Address(part), part.numel(), part.dtype, InRankOrder(part));
        return Begin(CollectiveArguments.Describe("reduce-scatter", whole), steps, whole, part);
    }

    /// <inheritdoc/>
    public void Barrier() => Begin("barrier", collectives.Barrier()).Wait();

    /// <inheritdoc/>
    public void Abort(int exitCode) => thread.Abort(exitCode);

    /// <summary>Leaves the group when all ranks do; after a failure at once, which the launcher then reports.</summary>
    public void Dispose() => thread.Close();

    /// <summary>Joins the others.</summary>
    /// <exception cref="UserException">They do not come in time, or MPI reports a fault.</exception>
    internal static MpiProcessGroup Start(MpiLibrary library, TimeSpan timeout, bool? inRankOrder)
    {
        var thread = new MpiThread(library, timeout);
        thread.Start();
        return new(library, thread, inRankOrder);
    }

    // Of whole numbers every order gives the same.
    private bool InRankOrder(Tensor tensor) => SumsInRankOrder && tensor.dtype != ScalarType.Int64;

    private MpiOperation Begin(string what, IEnumerable<int> steps, params ReadOnlySpan<Tensor> tensors)
    {
        var own = new Tensor[tensors.Length];
        for (int index = 0; index < own.Length; index++) own[index] = tensors[index].detach().DetachFromDisposeScope();
        return thread.Begin(new(thread, what, steps, own));
    }

    private static unsafe nint Address(Tensor tensor) => (nint)tensor.DataPointer;
}
