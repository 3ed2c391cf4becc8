namespace Trainer.Models.Mixers;

/// <summary>The widths of a Mamba-2 layer.</summary>
/// <param name="Width">All heads together, H·P.</param>
/// <param name="HeadDim">A head, P.</param>
/// <param name="StateDim">The state for each number of a head, N.</param>
/// <param name="Groups">Groups of heads, G.</param>
/// <param name="Convolution">Positions the convolution looks at.</param>
internal readonly record struct Mamba2Shape(int Width, int HeadDim, int StateDim, int Groups, int Convolution)
{
    /// <summary>Number of heads, H.</summary>
    public int Heads => Width / HeadDim;

    /// <summary>Width of what goes into the states, and of what comes out, G·N.</summary>
    public int GroupWidth => Groups * StateDim;

    /// <summary>Channels of the convolution: the heads, what goes in and what comes out.</summary>
    public int Channels => Width + 2 * GroupWidth;

    /// <summary>Rows of the first matrix: the gate, the channels, and a step for each head.</summary>
    public int InputRows => Width + Channels + Heads;

    /// <summary>Numbers of the states of one sequence, H·P·N.</summary>
    public long StateNumbers => (long)Width * StateDim;

    /// <summary>Numbers remembered of one sequence: its states, and the channels the convolution still needs.</summary>
    public long RememberedNumbers => StateNumbers + (Convolution - 1L) * Channels;
}
