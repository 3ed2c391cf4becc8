using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A module that changes after every optimizer step by what it saw during the step, not by a gradient.</summary>
internal interface IStepFollower
{
    /// <summary>Ends a step.</summary>
    /// <param name="skip">A float32 scalar on the device: 1 where the step went wrong and nothing may change.</param>
    void EndStep(Tensor skip);
}
