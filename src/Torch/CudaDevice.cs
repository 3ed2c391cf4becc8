using Trainer.Torch.Interop;

namespace Trainer.Torch;

/// <summary>What one CUDA device is.</summary>
/// <param name="Index">Its index among those that the process sees (CUDA_VISIBLE_DEVICES).</param>
/// <param name="Name">The vendor's name.</param>
/// <param name="Capability">Its compute capability, such as 8.6: which instructions it has.</param>
/// <param name="Multiprocessors">How many there are.</param>
/// <param name="Memory">Bytes in all.</param>
/// <param name="FreeMemory">Bytes that no process has taken.</param>
/// <param name="Driver">The newest CUDA that the driver can serve.</param>
/// <param name="Runtime">The CUDA that libtorch uses.</param>
public sealed record CudaDevice(
    int Index, string Name, Version Capability, int Multiprocessors, long Memory, long FreeMemory, Version Driver, Version Runtime)
{
    private static readonly Version Ampere = new(8, 0);

    /// <summary>Whether its matrix units compute TF32 and bfloat16, which FlashAttention-2 wants as well: compute capability 8.0 and newer.</summary>
    public bool HasBFloat16 => Capability >= Ampere;

    /// <summary>Asks for one device.</summary>
    /// <param name="index">Which.</param>
    /// <exception cref="TorchException">There is no such device, or the shim was built without CUDA.</exception>
    public static unsafe CudaDevice Of(int index)
    {
        var figures = stackalloc long[7];
        Native.Check(NativeMethods.tn_cuda_device(index, figures, out var name));
        return new CudaDevice(
            index, Native.Text(name), new Version((int)figures[0], (int)figures[1]), (int)figures[2], figures[3], figures[4],
            VersionOf(figures[5]), VersionOf(figures[6]));
    }

    /// <summary>Makes a device the current one of this thread, which an index of −1 means.</summary>
    /// <param name="index">Which.</param>
    /// <exception cref="TorchException">There is no such device, or the shim was built without CUDA.</exception>
    public static void MakeCurrent(int index) => Native.Check(NativeMethods.tn_cuda_set_device(index));

    // 12040 is 12.4.
    private static Version VersionOf(long number) => new((int)(number / 1000), (int)(number % 1000 / 10));
}
