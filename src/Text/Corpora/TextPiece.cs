namespace Trainer.Text;

/// <summary>A part of a document, small enough to hold in memory.</summary>
/// <param name="Text">The text; it never begins or ends inside a character, and ends after a line break where there is one.</param>
/// <param name="StartsDocument">Whether this is the first piece of its document.</param>
/// <param name="Source">The file it came from.</param>
/// <param name="Line">The number of its first line in that file, from 1.</param>
public readonly record struct TextPiece(ReadOnlyMemory<char> Text, bool StartsDocument, string Source, long Line);
