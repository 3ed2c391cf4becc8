namespace Trainer.Kernels;

/// <summary>libtorch cannot be loaded; the message is one line that says what is missing and what to do.</summary>
/// <param name="message">What to show the user.</param>
/// <param name="inner">The loader's own failure.</param>
public sealed class LibTorchLoadException(string message, Exception? inner = null) : Exception(message, inner);
