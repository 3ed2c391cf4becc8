using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What one layer remembers between the steps of decoding: keys and values, or the state of a recurrence.</summary>
internal abstract class LayerState : IDisposable
{
    /// <summary>Makes each sequence go on from one of the present ones: beams that survive, samples that branch off.</summary>
    /// <param name="rows">The sequence that each new one continues (B'), int64; B' may differ from B.</param>
    public abstract void Reorder(Tensor rows);

    /// <summary>Bytes of memory taken now.</summary>
    public abstract long Bytes { get; }

    /// <summary>Frees the tensors.</summary>
    public abstract void Dispose();
}

/// <summary>What a block remembers.</summary>
/// <param name="Mixer">Of the tokens before.</param>
/// <param name="Cross">Of an encoder's output; null where there is none.</param>
internal sealed record BlockState(LayerState Mixer, LayerState? Cross) : IDisposable
{
    public long Bytes => Mixer.Bytes + (Cross?.Bytes ?? 0);

    public void Reorder(Tensor rows)
    {
        Mixer.Reorder(rows);
        Cross?.Reorder(rows);
    }

    public void Dispose()
    {
        Mixer.Dispose();
        Cross?.Dispose();
    }
}
