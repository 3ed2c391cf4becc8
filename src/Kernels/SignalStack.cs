using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Makes room for signals on a thread that uses the processor's AMX tiles.</summary>
/// <remarks>.NET 10 gives a thread's signal stack 12 KiB. Of a thread that has used tiles Linux saves 11 KiB of registers there, and what
/// .NET's handler needs no longer fits: a null reference would end the process instead of becoming an exception. See
/// docs/upstream.md.</remarks>
internal static unsafe partial class SignalStack
{
    private const int MinimumSignalStack = 51; // AT_MINSIGSTKSZ
    private const nuint EnoughOf = 8192, Page = 4096, Handler = 1 << 16;
    private const int Disabled = 2; // SS_DISABLE
    private const int NoAccess = 0, ReadWrite = 3, PrivateAnonymous = 0x22; // PROT_…, MAP_…

    private static readonly nuint Needed = OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64
        ? getauxval(MinimumSignalStack)
        : 0;

    [ThreadStatic] private static bool isEnsured;

    /// <summary>Gives this thread a larger signal stack if its processor has tiles; .NET frees it with the thread.</summary>
    public static void Ensure()
    {
        if (isEnsured) return;
        isEnsured = true;
        if (Needed <= EnoughOf) return;
        Description now = default;
        if (sigaltstack(null, &now) != 0 || (now.Flags & Disabled) != 0) return;
        nuint bytes = (Needed + Handler + Page - 1) / Page * Page;
        if (now.Bytes >= bytes) return;
        byte* memory = (byte*)mmap(null, bytes, ReadWrite, PrivateAnonymous, -1, 0);
        if ((nint)memory == -1) return;
        // Like .NET's, whose first page guards what lies below.
        mprotect(memory, Page, NoAccess);
        Description larger = new() { Memory = memory, Bytes = bytes };
        if (sigaltstack(&larger, null) == 0) munmap(now.Memory, now.Bytes);
        else munmap(memory, bytes);
    }

    // stack_t
    [StructLayout(LayoutKind.Sequential)]
    private struct Description
    {
        public void* Memory;
        public int Flags;
        public nuint Bytes;
    }

    [LibraryImport("libc")]
    private static partial nuint getauxval(nuint type);

    [LibraryImport("libc")]
    private static partial int sigaltstack(Description* next, Description* now);

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int mprotect(void* address, nuint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);
}
