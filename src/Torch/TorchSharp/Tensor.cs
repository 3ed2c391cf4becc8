using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

/// <summary>libtorch under TorchSharp's names.</summary>
public static partial class torch
{
    /// <summary>An array of numbers with a shape, on a device, that can record how it was computed.</summary>
    /// <remarks>Owns native memory: dispose it, or make it inside a <see cref="DisposeScope"/>. Not thread-safe for writing.</remarks>
    public partial class Tensor : IDisposable
    {
        private const int InlineRank = 8;

        internal readonly TensorHandle handle;

        internal Tensor(nint handle) : this(new TensorHandle(handle))
        {
        }

        private protected Tensor(TensorHandle handle)
        {
            this.handle = handle;
            DisposeScope.Current?.Include(this);
        }

        /// <summary>The scope that will free this tensor, or none.</summary>
        internal DisposeScope? OwningDisposeScope { get; set; }

        /// <summary>The native pointer, for interop; valid while this tensor lives.</summary>
        public nint Handle => handle.DangerousGetHandle();

        /// <summary>Whether the memory has been given back.</summary>
        public bool IsInvalid => handle.IsClosed || handle.IsInvalid;

        /// <summary>Gives the native memory back, unless another tensor shares it. Safe to call twice.</summary>
        public void Dispose()
        {
            OwningDisposeScope = null;
            handle.Dispose();
            GC.SuppressFinalize(this);
        }

        /// <summary>Lets the tensor live on without a scope; the caller disposes it.</summary>
        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope = null;
            return this;
        }

        /// <summary>Hands the tensor to the scope around its own.</summary>
        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        /// <summary>Hands the tensor to a given scope.</summary>
        public Tensor MoveToOtherDisposeScope(DisposeScope scope) => scope.Include(this);

        /// <summary>A second tensor object over the same native tensor.</summary>
        public Tensor alias() => Native.Own(tn_tensor_alias(handle, out var result), result);

        /// <summary>The number of dimensions.</summary>
        public long dim()
        {
            Native.Check(tn_tensor_dim(handle, out var result));
            return result;
        }

        /// <summary>The number of dimensions.</summary>
        public long Dimensions => dim();

        /// <summary>The number of elements.</summary>
        public long numel()
        {
            Native.Check(tn_tensor_numel(handle, out var result));
            return result;
        }

        /// <summary>The number of elements.</summary>
        public long NumberOfElements => numel();

        /// <summary>The extent of every dimension.</summary>
        public long[] shape => Geometry(strides: false);

        /// <summary>The extent of every dimension.</summary>
        public long[] size() => shape;

        /// <summary>The extent of one dimension; negative counts from the end.</summary>
        public long size(int dim)
        {
            Native.Check(tn_tensor_size(handle, dim, out var result));
            return result;
        }

        /// <summary>Steps between neighbours along each dimension, in elements.</summary>
        public long[] stride() => Geometry(strides: true);

        /// <summary>Where the first element lies in the memory the tensor may share with others, in elements.</summary>
        public long storage_offset()
        {
            Native.Check(tn_tensor_storage_offset(handle, out var result));
            return result;
        }

        /// <summary>The type of the elements.</summary>
        public ScalarType dtype
        {
            get
            {
                Native.Check(tn_tensor_type(handle, out var result));
                return (ScalarType)result;
            }
        }

        /// <summary>Where the memory lies.</summary>
        public Device device
        {
            get
            {
                Native.Check(tn_tensor_device(handle, out var type, out var index));
                return type == 0 ? CPU : new Device((DeviceType)type, index);
            }
        }

        /// <summary>The kind of device on which the memory lies.</summary>
        public DeviceType device_type => device.type;

        /// <summary>Whether the elements lie in row-major order without gaps.</summary>
        public bool is_contiguous()
        {
            Native.Check(tn_tensor_is_contiguous(handle, out var result));
            return result != 0;
        }

        /// <summary>Bytes per element.</summary>
        public long element_size()
        {
            Native.Check(tn_tensor_element_size(handle, out var result));
            return result;
        }

        /// <summary>How often the memory has been written in place since it was made; -1 for a tensor made in inference mode, which does not count.</summary>
        internal long _version
        {
            get
            {
                Native.Check(tn_tensor_version(handle, out var result));
                return result;
            }
        }

        /// <summary>Whether both tensors look at the same memory.</summary>
        internal bool SharesStorageWith(Tensor other)
        {
            Native.Check(tn_tensor_same_storage(handle, other.handle, out var result));
            return result != 0;
        }

        /// <inheritdoc/>
        public override string ToString() =>
            IsInvalid ? "[disposed]" : $"[{string.Join('x', shape)}], type = {dtype}, device = {device}";

        private unsafe long[] Geometry(bool strides)
        {
            var sizes = stackalloc long[InlineRank];
            var steps = stackalloc long[InlineRank];
            Native.Check(tn_tensor_geometry(handle, sizes, steps, InlineRank, out var rank));
            if (rank <= InlineRank) return new ReadOnlySpan<long>(strides ? steps : sizes, (int)rank).ToArray();

            long[] longSizes = new long[rank], longSteps = new long[rank];
            fixed (long* s = longSizes, t = longSteps) Native.Check(tn_tensor_geometry(handle, s, t, rank, out rank));
            return strides ? longSteps : longSizes;
        }
    }
}
