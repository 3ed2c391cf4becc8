namespace Trainer.Data.HuggingFace;

/// <summary>A range of a text that is a delimiter, or what lies between two.</summary>
internal readonly record struct Segment(int Start, int End, bool IsDelimiter);
