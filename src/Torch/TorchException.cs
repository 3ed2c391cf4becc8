namespace Trainer.Torch;

/// <summary>libtorch refused an operation; the message is its own, without the native stack.</summary>
/// <param name="message">libtorch's message.</param>
/// <param name="isOutOfMemory">Whether there was not enough memory, on the device or the host.</param>
public sealed class TorchException(string message, bool isOutOfMemory = false) : Exception(message)
{
    /// <summary>Whether there was not enough memory: the same with less to compute at once can succeed.</summary>
    public bool IsOutOfMemory => isOutOfMemory;
}
