using System.Runtime.InteropServices;

namespace Trainer.Torch.Interop;

/// <summary>Owns one native <c>at::Generator</c>.</summary>
internal sealed class GeneratorHandle : SafeHandle
{
    internal static readonly GeneratorHandle Null = new(0);

    internal GeneratorHandle(nint handle) : base(0, ownsHandle: true) => SetHandle(handle);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMethods.tn_generator_free(handle);
        return true;
    }
}
