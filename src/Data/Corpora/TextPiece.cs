namespace Trainer.Data;

/// <summary>A part of a document, small enough to hold in memory.</summary>
/// <param name="Text">The text; it never begins or ends inside a character, and ends after a line break where there is one.</param>
/// <param name="StartsDocument">Whether this is the first piece of its document.</param>
/// <param name="Source">The file it came from.</param>
/// <param name="Line">The number of its first line in that file, from 1; where documents are records, the number of the record's line or row.</param>
public readonly record struct TextPiece(ReadOnlyMemory<char> Text, bool StartsDocument, string Source, long Line)
{
    /// <summary>Where in its file the document stands, such as <c>row 12, column "text"</c>; null where the file is the document.</summary>
    public RecordPlace? Record { get; init; }

    /// <summary>Whether the record has no text at all, which is not the same as an empty one.</summary>
    public bool IsNull { get; init; }

    /// <summary>Says where a character of the piece stands.</summary>
    /// <param name="position">Its position in <see cref="Text"/>, in UTF-16 units.</param>
    /// <returns>File, line or row, and column, for a message.</returns>
    public string Place(int position)
    {
        var before = Text.Span[..position];
        if (Record is { } record)
            return $"{Source}, {record.Unit} {Line}, {record.Field}, character {record.Characters + CodePoints.Count(before) + 1}";
        var column = CodePoints.Count(before[(before.LastIndexOf('\n') + 1)..]) + 1;
        return $"{Source}, line {Line + before.Count('\n')}, column {column}";
    }
}

/// <summary>Where a piece of a record stands.</summary>
/// <param name="Unit">What <see cref="TextPiece.Line"/> counts: <c>line</c> or <c>row</c>.</param>
/// <param name="Field">The field of the record, for messages, such as <c>column "text"</c>.</param>
/// <param name="Characters">The characters of the record before this piece.</param>
public readonly record struct RecordPlace(string Unit, string Field, long Characters);
