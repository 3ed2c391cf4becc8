using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>An operation was refused by libtorch or a kernel here; TorchSharp's own calls throw the base class.</summary>
/// <param name="message">Without the native stack.</param>
/// <param name="isOutOfMemory">Whether the device or the host lacks memory.</param>
public sealed class TorchException(string message, bool isOutOfMemory = false) : ExternalException(message)
{
    internal bool LacksMemory => isOutOfMemory;
}

/// <summary>Reads errors of libtorch.</summary>
public static class TorchErrors
{
    // The last is cuBLAS's and cuDNN's, which allocate past libtorch.
    private static readonly string[] MemoryWords = ["out of memory", "not enough memory", "can't allocate memory", "STATUS_ALLOC_FAILED"];

    extension(ExternalException error)
    {
        /// <summary>Whether memory ran out: computing less at once may succeed.</summary>
        public bool IsOutOfMemory => error is TorchException { LacksMemory: true } || SaysOutOfMemory(error.Message);

        /// <summary>The message without the native stack.</summary>
        public string Summary => error.Message.Split("\nException raised from", 2)[0].Trim();
    }

    internal static bool SaysOutOfMemory(string message) =>
        MemoryWords.Any(words => message.Contains(words, StringComparison.OrdinalIgnoreCase));
}
