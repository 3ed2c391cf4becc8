using static TorchSharp.torch;

namespace Trainer.Training.Checkpoints;

/// <summary>The states of the random number generators that training draws from (dropout).</summary>
/// <param name="Cpu">Of the default generator of the CPU.</param>
/// <param name="Cuda">Of the default generator of the first GPU; <c>null</c> where the run uses none.</param>
public sealed record RandomStates(byte[] Cpu, byte[]? Cuda)
{
    /// <summary>The states now.</summary>
    /// <param name="device">The device the run computes on.</param>
    /// <returns>A copy of the states.</returns>
    public static RandomStates Capture(Device device) => new(
        Bytes(get_rng_state()),
        device.type == TorchSharp.DeviceType.CUDA ? Bytes(cuda.get_rng_state(device)) : null);

    /// <summary>Puts the generators back.</summary>
    /// <param name="device">The device the run computes on; a state saved for another kind of device plays no part.</param>
    public void Restore(Device device)
    {
        using Tensor cpu = tensor(Cpu, dtype: ScalarType.Byte);
        set_rng_state(cpu);
        if (device.type != TorchSharp.DeviceType.CUDA || Cuda is null) return;
        using Tensor gpu = tensor(Cuda, dtype: ScalarType.Byte);
        cuda.set_rng_state(gpu, device);
    }

    private static byte[] Bytes(Tensor state)
    {
        using (state) return state.data<byte>().ToArray();
    }
}
