using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>A run of one process: nothing is exchanged, and no library is loaded.</summary>
public sealed class SingleProcess : IProcessGroup
{
    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Size => 1;

    /// <inheritdoc/>
    public int LocalRank => 0;

    /// <inheritdoc/>
    public int LocalSize => 1;

    /// <inheritdoc/>
    public string Description => "1 process";

    /// <inheritdoc/>
    public TimeSpan Timeout { get; set; } = ProcessGroup.DefaultTimeout;

    /// <inheritdoc/>
    public PendingCollective BeginSum(Tensor tensor)
    {
        CollectiveArguments.CheckSum(tensor);
        return PendingCollective.Completed;
    }

    /// <inheritdoc/>
    public PendingCollective BeginBroadcast(Tensor tensor, int root = 0)
    {
        CollectiveArguments.Check(tensor);
        CollectiveArguments.CheckRoot(root, Size);
        return PendingCollective.Completed;
    }

    /// <inheritdoc/>
    public PendingCollective BeginGather(Tensor part, Tensor? whole, int root = 0)
    {
        CollectiveArguments.CheckRoot(root, Size);
        ArgumentNullException.ThrowIfNull(whole);
        return BeginAllGather(part, whole);
    }

    /// <inheritdoc/>
    public PendingCollective BeginAllGather(Tensor part, Tensor whole)
    {
        if (!CollectiveArguments.CheckParts(part, whole, Rank, Size)) Copy(part, whole);
        return PendingCollective.Completed;
    }

    /// <inheritdoc/>
    public PendingCollective BeginReduceScatter(Tensor whole, Tensor part)
    {
        CollectiveArguments.CheckSum(whole);
        if (!CollectiveArguments.CheckParts(part, whole, Rank, Size)) Copy(whole, part);
        return PendingCollective.Completed;
    }

    /// <inheritdoc/>
    public void Barrier()
    {
    }

    /// <inheritdoc/>
    public void Abort(int exitCode) => Environment.Exit(exitCode);

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static void Copy(Tensor source, Tensor target)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        target.view(-1).copy_(source.view(-1));
    }
}
