using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>What TorchSharp's tensors lack: their memory as it is, and how often it has been written.</summary>
public static unsafe partial class TensorExtensions
{
    extension(Tensor tensor)
    {
        /// <summary>The address of a CPU tensor's first element.</summary>
        public byte* DataPointer => (byte*)THSTensor_data(tensor.Handle);

        /// <summary>The elements of a contiguous CPU tensor, in place; the tensor must outlive the span.</summary>
        /// <typeparam name="T">The .NET type of the elements, of their size.</typeparam>
        public Span<T> Span<T>() where T : unmanaged
        {
            if (tensor.element_size() != Unsafe.SizeOf<T>() || tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous())
                throw new InvalidOperationException(
                    $"A contiguous tensor of {typeof(T).Name} on the CPU was expected, and this is {tensor.dtype} on {tensor.device}.");
            return new(tensor.DataPointer, checked((int)tensor.numel()));
        }

        /// <summary>How often the tensor, or one that shares its memory, has been written in place; null of inference tensors, which do not
        /// count.</summary>
        public long? Version => Aten.TryVersion(tensor, out long version) ? version : null;

        /// <summary>Takes the memory, shape and type of another tensor, while everything that refers to this one goes on referring to it
        /// (PyTorch's <c>tensor.data = other</c>).</summary>
        /// <exception cref="TorchException">It wants a gradient and the type is no floating point, or the devices are of other
        /// kinds.</exception>
        public void SetData(Tensor data) => Aten.set_data(tensor, data);
    }

    extension(Device device)
    {
        /// <summary>What tells devices apart: TorchSharp's own objects are only equal to themselves.</summary>
        public (TorchSharp.DeviceType Type, int Index) Key => (device.type, device.index);
    }

    extension(TorchSharp.DisposeScope scope)
    {
        /// <summary>Has the scope own a tensor.</summary>
        public Tensor Include(Tensor tensor)
        {
            scope.Attach(tensor);
            return tensor;
        }
    }

    [LibraryImport("LibTorchSharp")]
    private static partial nint THSTensor_data(nint tensor);
}
