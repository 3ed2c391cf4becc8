namespace Trainer.Configuration;

/// <summary>A failure whose cause and remedy lie with the user: a missing file, a full disk, a damaged checkpoint.</summary>
/// <remarks>The command line prints the message alone, without a stack trace, and exits with 1. The message names
/// the path, what was found, what was expected, and the fix.</remarks>
/// <param name="message">What to show the user.</param>
/// <param name="inner">The underlying failure, kept for debugging.</param>
public class UserException(string message, Exception? inner = null) : Exception(message, inner);
