namespace Trainer.Data.HuggingFace;

/// <summary>A range of a text: an added token, or text between (null).</summary>
internal readonly record struct AddedTokenMatch(int Start, int End, AddedToken? Token);
