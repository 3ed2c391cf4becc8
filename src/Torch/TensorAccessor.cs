using System.Runtime.CompilerServices;
using TorchSharp;

namespace Trainer.Torch;

/// <summary>Reads and writes the elements of a CPU tensor from .NET.</summary>
/// <typeparam name="T">The .NET type of the elements.</typeparam>
/// <param name="tensor">The tensor; it must outlive the accessor.</param>
public readonly struct TensorAccessor<T>(torch.Tensor tensor) where T : unmanaged
{
    /// <summary>The number of elements.</summary>
    public long Count => tensor.numel();

    /// <summary>All elements of a contiguous tensor, in place.</summary>
    /// <exception cref="InvalidOperationException">Another element size, another device, or memory with gaps.</exception>
    public Span<T> Span
    {
        get
        {
            if (tensor.element_size() != Unsafe.SizeOf<T>())
                throw new InvalidOperationException(
                    $"The tensor holds {tensor.dtype} of {tensor.element_size()} bytes, not {typeof(T).Name}.");
            return tensor.Memory<T>(checked((int)tensor.numel()));
        }
    }

    /// <summary>One element by its row-major position.</summary>
    public T this[long index]
    {
        get => Span[checked((int)index)];
        set => Span[checked((int)index)] = value;
    }

    /// <summary>A copy of all elements in row-major order, whatever the layout.</summary>
    public T[] ToArray()
    {
        if (tensor.is_contiguous()) return Span.ToArray();
        using var packed = tensor.contiguous();
        return packed.data<T>().Span.ToArray();
    }

    /// <summary>Copies all elements of a contiguous tensor out.</summary>
    public void CopyTo(Span<T> target) => Span.CopyTo(target);
}
