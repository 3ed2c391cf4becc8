// Shapes: B batch, T positions, C model dimension.
using Trainer.Transformers.Positions;
using static TorchSharp.torch;

namespace Trainer.Transformers;

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
}

/// <summary>What a mixer needs to know beside its input.</summary>
/// <param name="Position">How order enters.</param>
/// <param name="Offset">Position of the first token of the input.</param>
/// <param name="State">What this layer remembers; null when the whole sequence is the input.</param>
internal readonly record struct MixerContext(PositionEncoding Position, int Offset, LayerState? State);
