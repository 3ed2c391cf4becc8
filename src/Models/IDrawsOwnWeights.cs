using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A module with weights that start otherwise than <see cref="Initialize"/> starts all matrices and modules start their vectors.</summary>
internal interface IDrawsOwnWeights
{
    /// <summary>Their names in the module, and what gives them their first values. No gradients are recorded.</summary>
    IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights { get; }
}
