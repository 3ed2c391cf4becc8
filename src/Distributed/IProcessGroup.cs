using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>The processes of one run, and what they exchange.</summary>
/// <remarks>Every rank calls the same collectives in the same order with the same sizes and types. Tensors are contiguous, of float32,
/// bfloat16, float64, int64 or bytes, and must not change until <see cref="PendingCollective.Wait"/> has returned; they may be disposed.
/// A rank that fails calls <see cref="Abort"/>: Dispose would wait for the others.</remarks>
public interface IProcessGroup : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many processes there are.</summary>
    int Size { get; }

    /// <summary>This process among those on the same machine, from 0.</summary>
    int LocalRank { get; }

    /// <summary>How many of them are on this machine.</summary>
    int LocalSize { get; }

    /// <summary>Such as <c>Open MPI 4.1.4, 4 processes on 1 machine</c>.</summary>
    string Description { get; }

    /// <summary>How long a process waits for the others in one collective before it takes them for lost.</summary>
    TimeSpan Timeout { get; set; }

    /// <summary>Starts to replace a tensor by the sum of all ranks' tensors, the same bits on each; of bytes there is none.</summary>
    PendingCollective BeginSum(Tensor tensor);

    /// <summary>Starts to replace a tensor by the root's.</summary>
    PendingCollective BeginBroadcast(Tensor tensor, int root = 0);

    /// <summary>Starts to collect all ranks' parts, in their order, in the root's whole, which other ranks may leave out.</summary>
    /// <remarks>The root's part may be its own piece of the whole; so in <see cref="BeginAllGather"/>.</remarks>
    PendingCollective BeginGather(Tensor part, Tensor? whole, int root = 0);

    /// <summary>Starts to collect all ranks' parts, in their order, in the whole of each.</summary>
    PendingCollective BeginAllGather(Tensor part, Tensor whole);

    /// <summary>Starts to sum the wholes of all ranks and to leave each rank its part; the whole is undefined afterwards.</summary>
    /// <remarks>The part may be the rank's own piece of the whole. Its bits are those of <see cref="BeginSum"/>.</remarks>
    PendingCollective BeginReduceScatter(Tensor whole, Tensor part);

    /// <summary>Waits until every rank has come here.</summary>
    void Barrier();

    /// <summary>Ends the processes of all ranks, this one too, at once.</summary>
    void Abort(int exitCode);
}

/// <summary>A collective that goes on while its rank computes.</summary>
public abstract class PendingCollective
{
    /// <summary>One that is over.</summary>
    public static PendingCollective Completed { get; } = new Done();

    /// <summary>Waits until the result is there; on a GPU, what is computed from now on waits, and the caller does not.</summary>
    /// <exception cref="Configuration.UserException">It took longer than the group's timeout, or the library reported a fault; the group is
    /// of no more use.</exception>
    public abstract void Wait();

    private sealed class Done : PendingCollective
    {
        public override void Wait()
        {
        }
    }
}
