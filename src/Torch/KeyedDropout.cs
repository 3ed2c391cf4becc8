using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Torch;

/// <summary>Dropout (Srivastava et al. 2014) whose choices are a function of each number's place and of a key: nothing is stored for the backward pass, and
/// threads that share the sequences of a batch drop what one thread would.</summary>
/// <remarks>Philox4x32-10 (Salmon et al. 2011), its key the seed. On the CPU; a GPU's kernels draw from the generator of the device.</remarks>
/// <param name="Probability">Of dropping a number, in [0, 1); 0 for none.</param>
/// <param name="Seed">Of a batch.</param>
/// <param name="First">Where the first of these sequences stands in its batch.</param>
/// <param name="Place">Tells the uses of a seed apart, 32 bits.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct KeyedDropout(double Probability, long Seed, long First, long Place);

/// <summary>What the dropout of one batch follows from.</summary>
/// <param name="Seed">Of the batch.</param>
/// <param name="First">Where the first of the sequences at hand stands in it.</param>
public readonly record struct DropoutKey(long Seed, long First = 0)
{
    /// <summary>A key whose seed comes from the CPU's default generator.</summary>
    public static DropoutKey Draw()
    {
        using var scope = torch.NewDisposeScope();
        return new(torch.randint(0, long.MaxValue, [1], torch.ScalarType.Int64).item<long>());
    }

    /// <summary>The key of something else of the same batch: of its encoder, where this is its decoder's.</summary>
    public DropoutKey Sibling => this with { Seed = Seed ^ long.MinValue };

    /// <summary>One use of the key.</summary>
    /// <param name="place">Tells it from other uses.</param>
    /// <param name="probability">Of dropping a number.</param>
    public KeyedDropout At(long place, double probability) => new(probability, Seed, First, place);
}
