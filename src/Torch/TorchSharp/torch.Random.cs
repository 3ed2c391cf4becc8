using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Seeds the default generators of all devices.</summary>
    /// <returns>The CPU's default generator.</returns>
    public static Generator manual_seed(long seed)
    {
        Native.Check(tn_manual_seed(seed));
        return Generator.DefaultOf(CPU);
    }

    /// <summary>The state of the CPU's default generator, as bytes.</summary>
    public static Tensor get_rng_state()
    {
        using var generator = Generator.DefaultOf(CPU);
        return generator.get_state();
    }

    /// <summary>Restores the CPU's default generator.</summary>
    /// <param name="new_state">What <see cref="get_rng_state"/> gave.</param>
    public static void set_rng_state(Tensor new_state)
    {
        using var generator = Generator.DefaultOf(CPU);
        generator.set_state(new_state);
    }

    /// <summary>A source of random numbers. Not thread-safe.</summary>
    public class Generator : IDisposable
    {
        internal readonly GeneratorHandle handle;

        /// <summary>A generator of its own.</summary>
        /// <param name="seed">Where its sequence begins.</param>
        /// <param name="device">The device for whose tensors it draws; the CPU if none is named.</param>
        public Generator(ulong seed = 0, Device? device = null)
        {
            this.device = device ?? CPU;
            Native.Check(tn_generator_new((int)this.device.type, this.device.index, out var result));
            handle = new GeneratorHandle(result);
            manual_seed(unchecked((long)seed));
        }

        private Generator(nint handle, Device device)
        {
            this.device = device;
            this.handle = new GeneratorHandle(handle);
        }

        /// <summary>The device for whose tensors it draws.</summary>
        public Device device { get; }

        /// <summary>The generator that operations on the CPU draw from when none is given.</summary>
        public static Generator Default => DefaultOf(CPU);

        /// <summary>The generator that a device's operations draw from when none is given.</summary>
        internal static Generator DefaultOf(Device device)
        {
            Native.Check(tn_generator_default((int)device.type, device.index, out var result));
            return new Generator(result, device);
        }

        /// <summary>Starts the sequence anew.</summary>
        public Generator manual_seed(long seed)
        {
            Native.Check(tn_generator_seed(handle, seed));
            return this;
        }

        /// <summary>The seed with which the sequence began.</summary>
        public long initial_seed()
        {
            Native.Check(tn_generator_initial_seed(handle, out var result));
            return result;
        }

        /// <summary>Where the sequence stands, as a tensor of bytes on the CPU.</summary>
        public Tensor get_state() => Native.Own(tn_generator_state(handle, out var result), result);

        /// <summary>Goes on from where <see cref="get_state"/> was taken.</summary>
        public void set_state(Tensor value) => Native.Check(tn_generator_set_state(handle, value.handle));

        /// <inheritdoc/>
        public void Dispose()
        {
            handle.Dispose();
            GC.SuppressFinalize(this);
        }

        internal static GeneratorHandle HandleOf(Generator? generator) => generator?.handle ?? GeneratorHandle.Null;
    }
}
