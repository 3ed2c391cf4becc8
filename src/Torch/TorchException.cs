namespace Trainer.Torch;

/// <summary>libtorch refused an operation; the message is its own, without the native stack.</summary>
/// <param name="message">libtorch's message.</param>
public sealed class TorchException(string message) : Exception(message);
