using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Tensors a module computes once and keeps: tables, masks, caches. They are in no checkpoint.</summary>
internal static class Constants
{
    /// <summary>Makes a tensor the caller owns, whatever scope and mode the model is running in.</summary>
    /// <remarks>Left to the mode of the moment, a table first needed during an evaluation would be an inference tensor,
    /// and the next training step could not use it.</remarks>
    public static Tensor Own(Func<Tensor> make)
    {
        using var mode = inference_mode(false);
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return make().DetachFromDisposeScope();
    }
}
