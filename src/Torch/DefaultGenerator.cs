using TorchSharp;

namespace Trainer.Torch;

/// <summary>The generators that operations draw from when none is given; TorchSharp shows only the CPU's.</summary>
public static class DefaultGenerator
{
    /// <summary>The default generator of a device; disposing it lets go of the reference, not of the generator.</summary>
    /// <param name="device">The CPU or a CUDA device.</param>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static torch.Generator Of(torch.Device device) => torch.Generator.DefaultOf(device);
}
