using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>What one CUDA device is.</summary>
/// <param name="Index">Its index among those that the process sees (CUDA_VISIBLE_DEVICES).</param>
/// <param name="Name">The vendor's name.</param>
/// <param name="Capability">Its compute capability, such as 8.6: which instructions it has.</param>
/// <param name="Multiprocessors">How many there are.</param>
/// <param name="Memory">Bytes in all.</param>
/// <param name="FreeMemory">Bytes that no process has taken.</param>
/// <param name="Driver">The newest CUDA that the driver can serve.</param>
/// <param name="Runtime">The CUDA that libtorch uses; 0.0 where it does not tell.</param>
public sealed unsafe record CudaDevice(
    int Index, string Name, Version Capability, int Multiprocessors, long Memory, long FreeMemory, Version Driver, Version Runtime)
{
    private static readonly Version Ampere = new(8, 0);

    /// <summary>Whether its matrix units compute TF32 and bfloat16, which FlashAttention-2 wants as well: compute capability 8.0 and
    /// newer.</summary>
    public bool HasBFloat16 => Capability >= Ampere;

    /// <summary>Asks for one device.</summary>
    /// <param name="index">Which.</param>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static CudaDevice Of(int index)
    {
        CheckIndex(index);
        (long free, long total) = CudaDriver.Memory(index);
        return new(index, CudaDriver.Name(index), CudaDriver.Capability(index), CudaDriver.Multiprocessors(index), total, free,
            CudaDriver.Version(), RuntimeVersion());
    }

    /// <summary>Makes a device the current one of this thread, which an index of −1 means.</summary>
    /// <param name="index">Which.</param>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static void MakeCurrent(int index)
    {
        CheckIndex(index);
        // A guard sets it, and would set it back if it were deleted.
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
