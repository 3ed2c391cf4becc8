namespace Trainer.Data;

/// <summary>A short stretch of training data.</summary>
/// <param name="Text">The text.</param>
/// <param name="Ids">Its token ids.</param>
/// <param name="Tokens">What each token stands for; U+FFFD where that is a part of a character.</param>
public sealed record DataExample(string Text, IReadOnlyList<int> Ids, IReadOnlyList<string> Tokens);
