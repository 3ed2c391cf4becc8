using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Torch.Interop;

/// <summary>Turns status codes into exceptions and owned pointers into tensors: the one error path.</summary>
internal static class Native
{
    private const int OutOfMemory = 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Check(int status)
    {
        if (status != 0) Throw(status);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static torch.Tensor Own(int status, nint handle)
    {
        if (status != 0) Throw(status);
        return new torch.Tensor(handle);
    }

    internal static (torch.Tensor, torch.Tensor) Own(int status, nint first, nint second)
    {
        if (status != 0) Throw(status);
        return (new torch.Tensor(first), new torch.Tensor(second));
    }

    internal static torch.Tensor[] Own(int status, ReadOnlySpan<nint> handles)
    {
        if (status != 0) Throw(status);
        var tensors = new torch.Tensor[handles.Length];
        for (var i = 0; i < handles.Length; i++) tensors[i] = new torch.Tensor(handles[i]);
        return tensors;
    }

    internal static string Text(nint utf8) => Marshal.PtrToStringUTF8(utf8) ?? "";

    private static void Throw(int status) => throw new TorchException(Text(NativeMethods.tn_last_error()), status == OutOfMemory);
}
