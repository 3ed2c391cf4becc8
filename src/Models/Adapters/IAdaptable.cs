using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>A weight that adapters can stand beside: a linear layer's (M, K), or those of all experts (E, M, K).</summary>
internal interface IAdaptable
{
    /// <summary>The weight itself, without adapters.</summary>
    Parameter Weight { get; }

    /// <summary>The weight with the adapter merged into it, float32; without gradients where there is one.</summary>
    Tensor EffectiveWeight { get; }

    /// <summary>Inputs of each matrix, K.</summary>
    int Inputs { get; }

    /// <summary>Outputs of each matrix, M.</summary>
    int Outputs { get; }

    /// <summary>Adds the adapters of its parts, under their names in checkpoints.</summary>
    void Attach(LinearAdapter beside);

    /// <summary>Adds one of several adapters, which rows of a batch choose from; it owns it.</summary>
    /// <param name="slot">Its number in the model.</param>
    /// <param name="beside">The adapter.</param>
    /// <exception cref="NotSupportedException">Rows cannot have adapters of their own here.</exception>
    void Attach(int slot, LinearAdapter beside);
}
