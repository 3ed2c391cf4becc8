using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>The states of the random number generators that training draws from (dropout).</summary>
/// <param name="Cpu">Of the default generator of the CPU.</param>
/// <param name="Cuda">Of the default generator of the GPU; <c>null</c> where the run uses none.</param>
public sealed record RandomStates(byte[] Cpu, byte[]? Cuda)
{
    /// <summary>The states now.</summary>
    /// <param name="device">The device the run computes on.</param>
    /// <returns>A copy of the states.</returns>
    public static RandomStates Capture(Device device) =>
        new(StateOf(CPU), device.type == DeviceType.CUDA ? StateOf(device) : null);

    /// <summary>Puts the generators back.</summary>
    /// <param name="device">The device the run computes on; a state saved on another kind of device plays no part.</param>
    public void Restore(Device device)
    {
        Restore(CPU, Cpu);
        if (device.type == DeviceType.CUDA && Cuda is not null) Restore(device, Cuda);
    }

    private static byte[] StateOf(Device device)
    {
        using Generator generator = DefaultGenerators.Of(device);
        using Tensor state = generator.get_state();
        return state.data<byte>().ToArray();
    }

    private static void Restore(Device device, byte[] bytes)
    {
        using Generator generator = DefaultGenerators.Of(device);
        using Tensor state = tensor(bytes);
        generator.set_state(state);
    }
}
