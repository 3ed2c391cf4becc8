using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>One of the CUDA devices visible to the process: its compute capability, memory in bytes, the newest CUDA that the driver
/// supports, and the CUDA of libtorch (0.0 if unknown).</summary>
public sealed unsafe record CudaDevice(
    int Index, string Name, Version Capability, int Multiprocessors, long Memory, long FreeMemory, Version Driver, Version Runtime)
{
    private static readonly Version Ampere = new(8, 0);

    /// <summary>Whether it computes TF32 and bfloat16, which FlashAttention-2 needs too: compute capability 8.0 and newer.</summary>
    public bool HasBFloat16 => Capability >= Ampere;

    /// <summary>Reads one device's properties.</summary>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static CudaDevice Of(int index)
    {
        CheckIndex(index);
        (long free, long total) = CudaDriver.Memory(index);
        return new(index, CudaDriver.Name(index), CudaDriver.Capability(index), CudaDriver.Multiprocessors(index), total, free,
            CudaDriver.Version(), RuntimeVersion());
    }

    /// <summary>Makes a device this thread's current one, which index −1 means.</summary>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static void MakeCurrent(int index)
    {
        CheckIndex(index);
        // The guard sets it, and would restore the previous one if it were deleted.
        nint guard;
        if (((delegate* unmanaged[Cdecl]<int, nint*, int>)TorchLibrary.Export("aoti_torch_create_device_guard"))(index, &guard) != 0)
            throw new TorchException($"CUDA device {index} cannot be made the current one.");
    }

    internal static void CheckIndex(int index)
    {
        if (!LibTorch.HasCuda)
            throw new TorchException(
                "this libtorch has no CUDA: build with the package TorchSharp-cuda-linux, or name a libtorch that has it");
        int count = cuda.device_count();
        if (index < 0 || index >= count) throw new TorchException($"There is no CUDA device {index}: this process sees {count}.");
    }

    private static Version RuntimeVersion()
    {
        nint library = TorchLibrary.Loaded("torch_cuda");
        int number = 0;
        if (library != 0 && NativeLibrary.TryGetExport(library, "cudaRuntimeGetVersion", out nint export))
            _ = ((delegate* unmanaged[Cdecl]<int*, int>)export)(&number);
        return new(number / 1000, number % 1000 / 10); // 12040 is 12.4.
    }
}
