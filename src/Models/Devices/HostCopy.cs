using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models.Devices;

/// <summary>Copies what the host has made to where it is computed with.</summary>
public static class HostCopy
{
    /// <summary>The numbers of a CPU tensor on a device, in the current dispose scope: the tensor itself on the CPU, else a copy in its
    /// place. The host does not wait for a GPU.</summary>
    public static Tensor ToDevice(this Tensor host, Device device)
    {
        if (device.type == DeviceType.CPU) return host;
        if (device.type != DeviceType.CUDA) return host.to(device, disposeAfter: true);
        // From page-locked memory the copy is queued behind earlier work. libtorch does not reuse that memory until it is done.
        using Tensor locked = host.pin_memory();
        host.Dispose();
        return locked.to(device, non_blocking: true);
    }
}
