namespace Trainer.Text;

/// <summary>A text that can be read any number of times, always the same.</summary>
public abstract class Corpus
{
    /// <summary>What it is called in messages and folder names.</summary>
    public abstract string Name { get; }

    /// <summary>The files whose content decides what is read.</summary>
    public abstract IReadOnlyList<string> Files { get; }

    /// <summary>Reads the text from its beginning in pieces of about a megabyte, without ever holding the whole.</summary>
    /// <returns>The pieces in order; a piece's text is valid until the next one is asked for.</returns>
    /// <exception cref="Trainer.Configuration.UserException">A file is missing, unreadable, or not UTF-8.</exception>
    public abstract IEnumerable<TextPiece> Read();

    /// <summary>Opens what a source names: one line here for each format.</summary>
    /// <param name="source">The source.</param>
    /// <param name="at">Its configuration path, such as <c>data.train.0</c>.</param>
    /// <param name="directory">The folder of prepared data, where built corpora are kept.</param>
    /// <param name="progress">Told what is built, if anything.</param>
    /// <returns>The corpus, ready to be read.</returns>
    /// <exception cref="Trainer.Configuration.UserException">The file is missing, empty, or a folder.</exception>
    public static Corpus Open(SourceOptions source, string at, string directory, IProgress<string>? progress = null) => source.Format switch
    {
        SourceFormat.Text => new TextFile(source.Path!, at),
        SourceFormat.DotnetDocs => DotnetDocs.Open(Path.Combine(directory, "dotnet-docs"), progress),
        _ => throw new ArgumentOutOfRangeException(nameof(source), source.Format, "no such format"),
    };
}
