// Shapes: B batch, T positions, C model dimension.
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The part of a block in which positions exchange information. Attention is one; recurrences are others.</summary>
internal abstract class Mixer(string name) : nn.Module(name)
{
    /// <summary>Mixes positions.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="context">Where these positions stand and what is remembered of earlier ones.</param>
    /// <returns>(B, T, C)</returns>
    public abstract Tensor Mix(Tensor x, MixerContext context);

    /// <summary>An empty memory for decoding.</summary>
    public abstract LayerState NewState(int batch, int capacity, Device device);

    /// <summary>The kernel this mixer computes a whole sequence with; null where it has no choice of kernels.</summary>
    /// <param name="length">Positions, T.</param>
    /// <param name="device">Where.</param>
    /// <param name="biased">Whether positions add to the scores.</param>
    public virtual KernelChoice? Kernel(int length, Device device, bool biased) => null;
}

/// <summary>What a mixer needs to know beside its input.</summary>
/// <param name="Pass">What all layers share in this call.</param>
/// <param name="Layer">The layer, from 0.</param>
/// <param name="Position">How order enters in this layer.</param>
/// <param name="State">What this layer remembers; null when the whole sequence is the input.</param>
internal readonly record struct MixerContext(ForwardPass Pass, int Layer, PositionEncoding Position, LayerState? State)
{
    /// <summary>Position of the first token of the input.</summary>
    public int Offset => Pass.Offset;
}
