using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What layers want added to the training objective beside the cross entropy, such as a router's load balance.</summary>
/// <remarks>Terms outlive the scopes of the layers that make them; this owns them.</remarks>
internal sealed class AuxiliaryLosses : IDisposable
{
    private readonly List<Tensor> terms = [];

    /// <summary>Adds a term.</summary>
    /// <param name="loss">Zero dimensions, weighted already, per token: it counts once for every target of the batch.</param>
    public void Add(Tensor loss) => terms.Add(loss.DetachFromDisposeScope());

    /// <summary>The number of terms.</summary>
    public int Count => terms.Count;

    /// <summary>Takes the terms from an index on out again; they belong to the present scope.</summary>
    public IReadOnlyList<Tensor> TakeFrom(int index)
    {
        List<Tensor> taken = terms[index..];
        terms.RemoveRange(index, taken.Count);
        return taken;
    }

    /// <summary>The sum of all terms; null where there are none.</summary>
    public Tensor? Sum() => terms.Count == 0 ? null : stack([.. terms]).sum();

    public void Dispose()
    {
        foreach (Tensor term in terms) term.Dispose();
        terms.Clear();
    }
}
