using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>CUDA devices.</summary>
    public static class cuda
    {
        /// <summary>Whether this build has CUDA and a device is there.</summary>
        public static bool is_available() => device_count() > 0;

        /// <summary>The number of CUDA devices that this process sees; 0 without CUDA.</summary>
        public static int device_count()
        {
            Native.Check(tn_cuda_device_count(out var result));
            return (int)result;
        }

        /// <summary>Waits until a device has done all work given to it.</summary>
        /// <param name="device">The device; the current one if none is named.</param>
        public static void synchronize(Device? device = null) =>
            Native.Check(tn_cuda_synchronize(device?.index ?? -1));
    }
}
