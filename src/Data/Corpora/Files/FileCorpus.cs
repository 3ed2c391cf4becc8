using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Files of one format, one after the other: plain texts, JSON lines or Parquet.</summary>
public sealed class FileCorpus : Corpus
{
    private readonly SourceFiles files;
    private readonly string column;

    private FileCorpus(SourceFiles files, string column, double weight)
    {
        (this.files, this.column) = (files, column);
        Weight = weight;
    }

    /// <inheritdoc/>
    public override string Name => files.Name;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Files => files.Files;

    /// <inheritdoc/>
    public override string Reading => files.Format.HasColumns ? $"{files.Format.Name} {column}" : files.Format.Name;

    /// <inheritdoc/>
    public override IEnumerable<TextPiece> Read() => files.Files.SelectMany(file => files.Format.Read(file, column));

    /// <summary>Finds the files that a source names; they are read later.</summary>
    /// <param name="source">The source, with a path.</param>
    /// <param name="at">Its configuration path, such as <c>data.train.0</c>; empty on the command line.</param>
    /// <returns>The corpus.</returns>
    /// <exception cref="UserException">There is no such file, all are empty, or they are of several formats.</exception>
    public static FileCorpus Open(SourceOptions source, string at)
    {
        var files = SourceFiles.Find(source.Path!, source.Format is { } format ? FileFormat.Of(format) : null, at.Length == 0 ? "" : $"{at}.path: ");
        if (source.Column is { } named && !files.Format.HasColumns)
            throw new UserException(
                $"{(at.Length == 0 ? "" : $"{at}.column: ")}\"{named}\" is named as column, but \"{source.Path}\" is read as {files.Format.Name}, which has none; "
                + "leave it out, or set format to \"jsonl\" or \"parquet\"");
        return new FileCorpus(files, source.Column ?? SourceOptions.DefaultColumn, source.Weight ?? 1);
    }
}
