using System.Runtime.InteropServices;

namespace Trainer.Torch.Interop;

/// <summary>Owns one native <c>at::Tensor</c>; given back when disposed, or by the finalizer when forgotten.</summary>
internal sealed class TensorHandle : SafeHandle
{
    /// <summary>Stands for "no tensor" where an argument is optional.</summary>
    internal static readonly TensorHandle Null = new(0);

    internal TensorHandle(nint handle) : base(0, ownsHandle: true) => SetHandle(handle);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMethods.tn_tensor_free(handle);
        return true;
    }
}
