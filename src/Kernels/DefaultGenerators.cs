using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Generators that operations draw from by default.</summary>
public static unsafe class DefaultGenerators
{
    /// <summary>A device's generator; disposing it frees the reference, not the generator.</summary>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static Generator Of(Device device)
    {
        if (device.type == DeviceType.CPU) return Generator.Default;
        if (device.type != DeviceType.CUDA || !cuda.is_available() || device.index >= cuda.device_count())
            throw new TorchException($"There is no device '{device}' here.");
        nint library = TorchLibrary.Loaded("torch_cuda");
        if (library == 0 || !NativeLibrary.TryGetExport(library, "_ZN2at4cuda6detail23getDefaultCUDAGeneratorEa", out nint export))
            throw new TorchException($"This libtorch does not give away the generator of '{device}'.");
        return new Borrowed(((delegate* unmanaged[Cdecl]<sbyte, nint>)export)((sbyte)device.index), device);
    }

    /// <summary>An at::Generator that libtorch owns, by its address.</summary>
    internal sealed class Borrowed : Generator
    {
        private readonly nint own;

        public Borrowed(nint generator, Device device) : base(0, CPU)
        {
            own = Handle;
            SetHandle(this, generator);
            SetDevice(this, device);
        }

        protected override void Dispose(bool disposing)
        {
            SetHandle(this, own);
            base.Dispose(disposing);
        }

        [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_Handle")]
        private static extern void SetHandle(Generator generator, nint handle);

        [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_device")]
        private static extern void SetDevice(Generator generator, Device device);
    }
}
