using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A text that can be read any number of times, always the same.</summary>
public abstract class Corpus
{
    /// <summary>What it is called in messages and folder names.</summary>
    public abstract string Name { get; }

    /// <summary>The files whose content decides what is read.</summary>
    public abstract IReadOnlyList<string> Files { get; }

    /// <summary>How the files are read: two corpora with equal files and equal readings have the same text.</summary>
    public abstract string Reading { get; }

    /// <summary>How often it is drawn from, relative to the other corpora of its list; above 0.</summary>
    public double Weight { get; protected init; } = 1;

    /// <summary>Reads the text from its beginning in pieces of about a megabyte, without ever holding the whole.</summary>
    /// <returns>The pieces in order; a piece's text is valid until the next one is asked for.</returns>
    /// <exception cref="UserException">A file is missing, unreadable, damaged, or not UTF-8.</exception>
    public abstract IEnumerable<TextPiece> Read();

    /// <summary>Whether documents come by turns as a text to read and the text to write for it, none of them empty.</summary>
    public virtual bool IsPaired => false;

    /// <summary>Opens what a source names: one line here for each kind.</summary>
    /// <param name="source">The source.</param>
    /// <param name="at">Its configuration path, such as <c>data.train.0</c>.</param>
    /// <param name="directory">The folder of prepared data, where built corpora are kept.</param>
    /// <param name="progress">Told what is built, if anything.</param>
    /// <param name="inPairs">Whether texts to read and texts to write are documents by turns.</param>
    /// <returns>The corpus, ready to be read.</returns>
    /// <exception cref="UserException">A file is missing or empty, or what is there is of no format, or of several.</exception>
    public static Corpus Open(SourceOptions source, string at, string directory, IProgress<string>? progress = null, bool inPairs = false) => source.Format switch
    {
        SourceFormat.Synthetic => SyntheticCorpus.Open(source, inPairs),
        _ when inPairs => PairCorpus.Open(source, at, directory, progress),
        SourceFormat.DotnetDocs => DotnetDocs.Open(Path.Combine(directory, "dotnet-docs"), progress, source.Weight ?? 1),
        SourceFormat.DotnetTranslations => DotnetTranslations.Open(source, Path.Combine(directory, "dotnet-translations"), progress),
        _ => FileCorpus.Open(source, at),
    };
}
