using System.Runtime.InteropServices;

namespace Trainer.Torch.Interop;

/// <summary>What libtorch's own libraries read from the environment while they are loaded.</summary>
internal static partial class NativeEnvironment
{
    /// <summary>Sets what has to be set before the shim is loaded.</summary>
    /// <remarks>Debian's libtorch brings Open MPI and with it UCX, which takes SIGSEGV for itself: .NET could then not turn a null
    /// reference into an exception, and the process would die without a word of where. .NET's own variables are a copy
    /// that native code does not see, hence the call into the C library. A user's own setting stays.</remarks>
    internal static void Prepare() => setenv("UCX_ERROR_SIGNALS", "", overwrite: 0);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
