// Shapes: B batch, H heads, P width of a head, N state, E channels of the convolution, K positions it looks at.
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>What a Mamba-2 layer remembers: as much after a thousand tokens as after one.</summary>
internal sealed class Mamba2State : LayerState
{
    public Mamba2State(Mamba2Shape shape, int batch, Device device)
    {
        Tail = Constants.Own(() => zeros(batch, shape.Convolution - 1, shape.Channels, device: device));
        States = Constants.Own(() => zeros(batch, shape.Heads, shape.HeadDim, shape.StateDim, device: device));
    }

    /// <summary>The channels of the last positions, which the convolution still needs: (B, K − 1, E), float32.</summary>
    public Tensor Tail { get; private set; }

    /// <summary>(B, H, P, N), float32</summary>
    public Tensor States { get; private set; }

    public override long Bytes => Tail.numel() * Tail.element_size() + States.numel() * States.element_size();

    /// <summary>Replaces what is remembered.</summary>
    public void Remember(Tensor tail, Tensor states)
    {
        Tail.copy_(tail);
        States.copy_(states);
    }

    public override void Reorder(Tensor rows)
    {
        Tail = Chosen(Tail, rows);
        States = Chosen(States, rows);
    }

    public override void Dispose()
    {
        Tail.Dispose();
        States.Dispose();
    }

    private static Tensor Chosen(Tensor old, Tensor rows)
    {
        Tensor chosen = Constants.Own(() => old.index_select(0, rows.to(old.device)));
        old.Dispose();
        return chosen;
    }
}
