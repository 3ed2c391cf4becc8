using System.Runtime.InteropServices;

namespace Trainer.Torch.Interop;

/// <summary>Owns one native program of a token's way through a model.</summary>
internal sealed class TokenProgramHandle : SafeHandle
{
    internal TokenProgramHandle(nint handle) : base(0, ownsHandle: true) => SetHandle(handle);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMethods.tn_token_program_free(handle);
        return true;
    }
}
