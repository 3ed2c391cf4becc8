namespace Trainer.Transformers;

/// <summary>What one layer remembers between the steps of decoding: keys and values, or the state of a recurrence.</summary>
public abstract class LayerState : IDisposable
{
    /// <summary>Frees the tensors.</summary>
    public abstract void Dispose();
}
