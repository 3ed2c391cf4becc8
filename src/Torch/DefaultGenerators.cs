using TorchSharp;

namespace Trainer.Torch;

/// <summary>The generators that a device's operations draw from when none is given.</summary>
public static class DefaultGenerators
{
    /// <summary>A device's generator. Disposing it gives up the reference, not the generator.</summary>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static torch.Generator Of(torch.Device device) => torch.Generator.DefaultOf(device);
}
