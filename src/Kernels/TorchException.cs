using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>libtorch, or a kernel of ours, refused an operation. TorchSharp's own calls throw its base class.</summary>
/// <param name="message">What was wrong, without the native stack.</param>
/// <param name="isOutOfMemory">Whether there was not enough memory, on the device or the host.</param>
public sealed class TorchException(string message, bool isOutOfMemory = false) : ExternalException(message)
{
    internal bool LacksMemory => isOutOfMemory;
}

/// <summary>What an error of libtorch says.</summary>
public static class TorchErrors
{
    private static readonly string[] MemoryWords = ["out of memory", "not enough memory", "can't allocate memory"];

    extension(ExternalException error)
    {
        /// <summary>Whether there was not enough memory: the same with less to compute at once can succeed.</summary>
        public bool IsOutOfMemory =>
            error is TorchException { LacksMemory: true }
                || MemoryWords.Any(words => error.Message.Contains(words, StringComparison.OrdinalIgnoreCase));

        /// <summary>The message without the native stack.</summary>
        public string Summary => error.Message.Split("\nException raised from", 2)[0].Trim();
    }
}
