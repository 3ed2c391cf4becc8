using System.Runtime.InteropServices;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>The raw memory of a contiguous CPU tensor; valid while this tensor lives and is not resized.</summary>
        /// <exception cref="InvalidOperationException">The tensor is on another device, has gaps, or exceeds 2 GiB.</exception>
        public Span<byte> bytes
        {
            get => Memory<byte>(checked((int)(numel() * element_size())));
            set
            {
                var target = bytes;
                if (value.Length != target.Length)
                    throw new ArgumentException($"{value.Length} bytes do not fill a tensor of {target.Length} bytes.");
                value.CopyTo(target);
            }
        }

        /// <summary>The elements of a CPU tensor, in row-major order.</summary>
        /// <typeparam name="T">The .NET type of <see cref="dtype"/>; <see cref="ushort"/> reads the bits of 16-bit floats.</typeparam>
        public Trainer.Torch.TensorAccessor<T> data<T>() where T : unmanaged => new(this);

        /// <summary>The only element of a tensor; waits for a GPU.</summary>
        /// <typeparam name="T">A number or bool; converted when the tensor's type differs.</typeparam>
        public T item<T>() where T : unmanaged
        {
            var scalar = item();
            object value = scalar.IsReal ? scalar.ToDouble() : scalar.IsBool ? scalar.ToBoolean() : scalar.ToInt64();
            return (T)Convert.ChangeType(value, typeof(T));
        }

        /// <summary>The only element as a single.</summary>
        public float ToSingle() => item().ToSingle();

        /// <summary>The only element as a double.</summary>
        public double ToDouble() => item().ToDouble();

        /// <summary>The only element as a 64-bit integer.</summary>
        public long ToInt64() => item().ToInt64();

        /// <summary>The only element as a 32-bit integer.</summary>
        public int ToInt32() => item().ToInt32();

        /// <summary>The only element as a truth value.</summary>
        public bool ToBoolean() => item().ToBoolean();

        /// <summary>The same values in another element type; this tensor itself when it has that type already.</summary>
        public Tensor to_type(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(null, type, copy, disposeAfter, non_blocking);

        /// <summary>The same values in another element type.</summary>
        public Tensor to(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(null, type, copy, disposeAfter, non_blocking);

        /// <summary>The same values on another device.</summary>
        public Tensor to(Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(device, null, copy, disposeAfter, non_blocking);

        /// <summary>The same values in another element type on another device.</summary>
        public Tensor to(ScalarType type, Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(device, type, copy, disposeAfter, non_blocking);

        /// <summary>The same values on the CPU.</summary>
        public Tensor cpu() => To(CPU, null, false, false, false);

        /// <summary>The same values on a kind of device.</summary>
        public Tensor to(DeviceType deviceType, int deviceIndex = -1, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(new Device(deviceType, deviceIndex), null, copy, disposeAfter, non_blocking);

        /// <summary>The same values on a device named by its text, such as <c>cuda:0</c>.</summary>
        public Tensor to(string device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(new Device(device), null, copy, disposeAfter, non_blocking);

        /// <summary>The same values in another tensor's element type, on its device.</summary>
        public Tensor to(Tensor other, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            To(other.device, other.dtype, copy, disposeAfter, non_blocking);

        /// <summary>The same values in another tensor's element type.</summary>
        public Tensor type_as(Tensor tensor) => to_type(tensor.dtype);

        /// <summary>The same values on a CUDA device.</summary>
        /// <param name="device">Which; the current one if none is named.</param>
        /// <param name="non_blocking">Whether a copy from page-locked memory goes on while the CPU does.</param>
        /// <exception cref="ArgumentException">The device is not CUDA's.</exception>
        public Tensor cuda(Device? device = null, bool non_blocking = false) =>
            device is null or { type: DeviceType.CUDA }
                ? To(device ?? CUDA, null, false, false, non_blocking)
                : throw new ArgumentException($"'{device}' is no CUDA device.", nameof(device));

        /// <summary>A copy in page-locked memory, from which a GPU can read while the CPU goes on.</summary>
        public Tensor pin_memory() => Native.Own(tn_tensor_pin_memory(handle, out var result), result);

        /// <summary>Moves the memory to another device, or converts it, under the same tensor object.</summary>
        internal void MoveData(Device? device, ScalarType? type)
        {
            if ((device ?? this.device).Equals(this.device) && (type ?? dtype) == dtype) return;
            using var moved = To(device, type, false, false, false);
            SetData(moved);
        }

        /// <summary>Holds another tensor's numbers, type and shape from now on, sharing its memory.</summary>
        internal void SetData(Tensor other)
        {
            using var data = other.detach();
            Native.Check(tn_tensor_set_data(handle, data.handle));
        }

        internal Scalar item()
        {
            Native.Check(tn_tensor_item(handle, out var result));
            return result;
        }

        /// <summary>The first byte of a CPU tensor's elements.</summary>
        internal unsafe byte* DataPointer
        {
            get
            {
                Native.Check(tn_tensor_data(handle, out var pointer));
                return (byte*)pointer;
            }
        }

        internal unsafe Span<T> Memory<T>(int count) where T : unmanaged
        {
            if (device_type != DeviceType.CPU)
                throw new InvalidOperationException($"The tensor is on {device}; take cpu() first.");
            if (!is_contiguous())
                throw new InvalidOperationException("The tensor's memory has gaps; take contiguous() first.");
            Native.Check(tn_tensor_data(handle, out var pointer));
            return MemoryMarshal.CreateSpan(ref *(T*)pointer, count);
        }

        private Tensor To(Device? device, ScalarType? type, bool copy, bool disposeAfter, bool nonBlocking)
        {
            var result = Native.Own(
                tn_tensor_to(handle, (int)(device?.type ?? (DeviceType)(-1)), device?.index ?? -1, (int?)type ?? -1,
                    nonBlocking ? 1 : 0, copy ? 1 : 0, out var pointer), pointer);
            if (disposeAfter) Dispose();
            return result;
        }
    }
}
