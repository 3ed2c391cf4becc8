using Trainer.Configuration;

namespace Trainer.Evaluation;

/// <summary>A model's logits are not finite numbers, so that it says nothing that could be measured.</summary>
/// <param name="message">What to show the user.</param>
public sealed class LogitsException(string message) : UserException(message);
