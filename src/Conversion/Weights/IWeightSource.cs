using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Conversion.Weights;

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
}
