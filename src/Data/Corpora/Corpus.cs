using Trainer.Configuration;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Corpora;

/// <summary>A text that can be read repeatedly, always the same.</summary>
public abstract class Corpus
{
    /// <summary>The name in messages and folder names.</summary>
    public abstract string Name { get; }

    /// <summary>The files whose content determines the text.</summary>
    public abstract IReadOnlyList<string> Files { get; }

    /// <summary>How the files are read: equal files and readings give equal text.</summary>
    public abstract string Reading { get; }

    /// <summary>Sampling weight relative to the other corpora of its list; positive.</summary>
    internal double Weight { get; private protected init; } = 1;

    /// <summary>Reads pieces of about a megabyte, each valid until the next is requested; throws where a file is damaged.</summary>
    public abstract IEnumerable<TextPiece> Read();

    /// <summary>Whether documents alternate between a text to read and the text to write for it, none empty.</summary>
    internal virtual bool IsPaired => false;

    /// <summary>Opens a source at a path such as <c>data.train.0</c>; <paramref name="directory"/> caches corpora.</summary>
    /// <exception cref="UserException">A file is missing or empty, or what is there is of no format, or of several.</exception>
    public static Corpus Open(SourceOptions source, string at, string directory, IProgress<string>? progress = null,
        bool inPairs = false) => source.Format switch
    {
        SourceFormat.Chat or SourceFormat.Preferences => ConversationFiles.Open(source, at),
        SourceFormat.Synthetic => SyntheticCorpus.Open(source, inPairs),
        _ when inPairs => PairCorpus.Open(source, at, directory, progress),
        SourceFormat.DotnetDocsChat => DotnetDocsChat.Open(Path.Combine(directory, "dotnet-docs"), progress, source.Weight ?? 1),
        SourceFormat.DotnetDocsPreferences =>
            DotnetDocsPreferences.Open(source, Path.Combine(directory, "dotnet-docs"), progress),
        SourceFormat.DotnetDocs => DotnetDocs.Open(Path.Combine(directory, "dotnet-docs"), progress, source.Weight ?? 1),
        SourceFormat.DotnetTranslations => DotnetTranslations.Open(source, Path.Combine(directory, "dotnet-translations"), progress),
        _ => FileCorpus.Open(source, at),
    };
}

/// <summary>A piece of a document: never splits a character, and ends after a line break where there is one. <c>Line</c> counts from 1; for
/// records it is the record's line or row.</summary>
public readonly record struct TextPiece(ReadOnlyMemory<char> Text, bool StartsDocument, string Source, long Line)
{
    /// <summary>Where in its file the record lies; null when the file is the document.</summary>
    public RecordPlace? Record { get; init; }

    /// <summary>Whether the record has no text, as opposed to an empty one.</summary>
    public bool IsNull { get; init; }

    internal string Place(int position)
    {
        var before = Text.Span[..position];
        if (Record is { } record)
            return $"{Source}, {record.Unit} {Line}, {record.Field}, character {record.Characters + CodePoints.Count(before) + 1}";
        var column = CodePoints.Count(before[(before.LastIndexOf('\n') + 1)..]) + 1;
        return $"{Source}, line {Line + before.Count('\n')}, column {column}";
    }
}

/// <summary>Where a piece of a record lies: <c>Unit</c> is <c>line</c> or <c>row</c>, <c>Characters</c> counts those before it.</summary>
public readonly record struct RecordPlace(string Unit, string Field, long Characters);
