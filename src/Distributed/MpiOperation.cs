using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>A collective on its way through the thread that speaks to MPI.</summary>
/// <param name="thread">That thread.</param>
/// <param name="what">Such as <c>sum of 1,000 Float32</c>.</param>
/// <param name="steps">Starts the library's calls one after the other, each when the last is over, and yields what they return.</param>
/// <param name="tensors">References of its own to what is read and written.</param>
internal sealed class MpiOperation(MpiThread thread, string what, IEnumerable<int> steps, Tensor[] tensors) : PendingCollective
{
    // A sum of a few numbers is faster than a thread that sleeps is woken, and the cores are needed for computing.
    private const int Spins = 40;

    private readonly ManualResetEventSlim finished = new(false, Spins);
    private Exception? failure;

    public string What => what;

    public IEnumerable<int> Steps => steps;

    /// <summary>Its place among the collectives of this rank, from 1.</summary>
    public long Number { get; set; }

    public bool IsFinished => finished.IsSet;

    public void Finish(Exception? failure)
    {
        foreach (var tensor in tensors) tensor.Dispose();
        this.failure = failure;
        finished.Set();
    }

    public override void Wait()
    {
        if (!finished.Wait(thread.Timeout)) thread.GiveUp(this);
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);
    }
}
