using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>What TorchSharp's tensors, devices and scopes lack.</summary>
public static unsafe partial class TensorExtensions
{
    extension(Tensor tensor)
    {
        /// <summary>The address of a CPU tensor's first element.</summary>
        public byte* DataPointer => (byte*)THSTensor_data(tensor.Handle);

        /// <summary>The elements of a contiguous CPU tensor, in place; the tensor must outlive the span. T has their size.</summary>
        public Span<T> Span<T>() where T : unmanaged
        {
            if (tensor.element_size() != Unsafe.SizeOf<T>() || tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous())
                throw new InvalidOperationException(
                    $"A contiguous tensor of {typeof(T).Name} on the CPU was expected, and this is {tensor.dtype} on {tensor.device}.");
            return new(tensor.DataPointer, checked((int)tensor.numel()));
        }

        /// <summary>The same memory as another type; the last dimension, which must be contiguous, follows its size (PyTorch's
        /// <c>tensor.view(dtype)</c>).</summary>
        public Tensor ViewAs(ScalarType type) => Aten.view(tensor, type);

        /// <summary>Counts in-place writes to the tensor's memory, by any tensor; null for inference tensors, which do not count.</summary>
        public long? Version => Aten.TryVersion(tensor, out long version) ? version : null;

        /// <summary>Takes another tensor's memory, shape and type; references to this one stay valid (PyTorch's
        /// <c>tensor.data</c>).</summary>
        /// <exception cref="TorchException">It needs a gradient and the type is not floating point, or the kinds of device
        /// differ.</exception>
        public void SetData(Tensor data) => Aten.set_data(tensor, data);
    }

    extension(Device device)
    {
        /// <summary>Compares devices by value: TorchSharp's objects equal only themselves.</summary>
        public (TorchSharp.DeviceType Type, int Index) Key => (device.type, device.index);
    }

    extension(TorchSharp.DisposeScope scope)
    {
        /// <summary>Makes the scope own a tensor, and returns it.</summary>
        public Tensor Include(Tensor tensor)
        {
            scope.Attach(tensor);
            return tensor;
        }
    }

    [LibraryImport("LibTorchSharp")]
    private static partial nint THSTensor_data(nint tensor);
}
