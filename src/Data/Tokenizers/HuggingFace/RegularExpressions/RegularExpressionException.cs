namespace Trainer.Data.HuggingFace;

/// <summary>A regular expression that is malformed or uses what is not supported.</summary>
internal sealed class RegularExpressionException(string message) : Exception(message);
