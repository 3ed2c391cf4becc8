using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>What layers want added to the training objective beside the cross entropy, such as a router's load balance.</summary>
/// <remarks>Terms outlive the scopes of the layers that make them; this owns them.</remarks>
internal sealed class AuxiliaryLosses : IDisposable
{
    private readonly List<Tensor> terms = [];

    /// <summary>Adds a term.</summary>
    /// <param name="loss">Zero dimensions, weighted already, per token: it counts once for every target of the batch.</param>
    public void Add(Tensor loss)
    {
        // A layer that the backward pass runs again has added its term; what was computed now serves that term's gradient.
        if (!Recomputation.Running) terms.Add(loss.DetachFromDisposeScope());
    }

    /// <summary>The sum of all terms; null where there are none.</summary>
    public Tensor? Sum() => terms.Count == 0 ? null : stack([.. terms]).sum();

    public void Dispose()
    {
        foreach (Tensor term in terms) term.Dispose();
    }
}
