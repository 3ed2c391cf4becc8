using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>Named tensors on disk, read one at a time.</summary>
public interface IWeightSource
{
    /// <summary>Where they are, for messages.</summary>
    string Location { get; }

    /// <summary>The tensors' names.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>Type and shape of a tensor.</summary>
    /// <exception cref="KeyNotFoundException">There is none of that name.</exception>
    SafetensorsInfo Info(string name);

    /// <summary>Reads a tensor as it is stored; the caller disposes it.</summary>
    /// <exception cref="KeyNotFoundException">There is none of that name.</exception>
    Tensor Read(string name);

    /// <summary>Whether some numbers of a tensor are read without the others.</summary>
    bool ReadsParts => false;

    /// <summary>Reads some consecutive numbers of a tensor, as they are stored; the caller disposes them.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="start">How many numbers stand before them.</param>
    /// <param name="shape">The shape they get.</param>
    /// <exception cref="KeyNotFoundException">There is none of that name.</exception>
    Tensor Read(string name, long start, IReadOnlyList<long> shape)
    {
        using Tensor whole = Read(name);
        using Tensor numbers = whole.reshape(-1);
        using Tensor some = numbers.narrow(0, start, shape.Aggregate(1L, (product, extent) => product * extent));
        return some.reshape([.. shape]).clone();
    }
}
