using Trainer.Configuration;
using Trainer.Data.Parquet;

namespace Trainer.Data.Corpora;

internal sealed class FileCorpus : Corpus
{
    private readonly SourceFiles files;
    private readonly string column;

    private FileCorpus(SourceFiles files, string column, double weight)
    {
        (this.files, this.column) = (files, column);
        Weight = weight;
    }

    public override string Name => files.Name;

    public override IReadOnlyList<string> Files => files.Files;

    public override string Reading => files.Format.HasColumns ? $"{files.Format.Name} {column}" : files.Format.Name;

    public override IEnumerable<TextPiece> Read() => files.Files.SelectMany(file => files.Format.Read(file, column));

    /// <summary>Finds the files, to be read later. <paramref name="at"/> is the path in the recipe; empty on the command line.</summary>
    public static FileCorpus Open(SourceOptions source, string at)
    {
        var files = SourceFiles.Find(source.Path!, source.Format is { } format ? FileFormat.Of(format) : null,
            at.Length == 0 ? "" : $"{at}.path: ");
        if (source.Column is { } named && !files.Format.HasColumns)
            throw new UserException(
                $"{(at.Length == 0 ? "" : $"{at}.column: ")}\"{named}\" is named as column, but \"{source.Path}\" is read "
                + $"as {files.Format.Name}, which has none; "
                + "leave it out, or set format to \"jsonl\" or \"parquet\"");
        return new FileCorpus(files, source.Column ?? SourceOptions.DefaultColumn, source.Weight ?? 1);
    }
}

internal sealed record SourceFiles(string Name, FileFormat Format, IReadOnlyList<string> Files)
{
    /// <summary>Finds a file, or those of a folder or glob; a null format follows from their names.</summary>
    public static SourceFiles Find(string path, FileFormat? format, string at)
    {
        if (FileGlob.IsPattern(path))
            return Glob(path, format, at);
        var whole = Path.GetFullPath(path);
        return Directory.Exists(whole) ? Folder(path, whole, format, at) : File(path, whole, format, at);
    }

    private static SourceFiles File(string path, string whole, FileFormat? format, string at)
    {
        if (!System.IO.File.Exists(whole))
            throw new UserException(
                $"{at}there is no file \"{path}\" (looked for {whole}); a relative path starts at the working directory");
        if (FileTarget.Of(whole).Length == 0)
            throw new UserException($"{at}the file \"{path}\" ({whole}) is empty; name a file with text");
        return new SourceFiles(NameOf(whole),
            Compressible(format ?? FileFormat.ByName(whole) ?? FileFormat.Of(SourceFormat.Text), whole, at), [whole]);
    }

    /// <summary>Takes the files of a known extension, or all of them if the user says they are text.</summary>
    private static SourceFiles Folder(string path, string whole, FileFormat? format, string at)
    {
        var all = NotEmpty(FileGlob.Below(whole));
        var fitting = format switch
        {
            null => all.Where(file => FileFormat.ByName(file) is not null),
            { Format: SourceFormat.Text } => all,
            _ => all.Where(file => FileFormat.ByName(file) == format),
        };
        string[] files = [.. fitting];
        if (files.Length == 0)
            throw new UserException(
                $"{at}the folder \"{path}\" ({whole}) has no {(format is null ? "files of a known format" : $"{format.Name} files")} "
                + "with content "
                + $"({string.Join(", ", (format is null ? FileFormat.All : [format]).SelectMany(known => known.Extensions))}) among "
                + $"its {all.Count}; "
                + "name a glob such as \"" + Path.Combine(path, "**/*.md") + "\", or set format to \"text\" to read every file as text");
        return new SourceFiles(Path.GetFileName(Path.TrimEndingDirectorySeparator(whole)), One(files, format, path, at), files);
    }

    private static SourceFiles Glob(string path, FileFormat? format, string at)
    {
        var files = NotEmpty(FileGlob.Match(path));
        if (files.Count == 0)
            throw new UserException($"{at}no file with content matches \"{path}\" (looked in {Environment.CurrentDirectory}); * stands for "
                + "any name, ** for any folders");
        return new SourceFiles(NameOf(files[0]), One(files, format, path, at), files);
    }

    private static IReadOnlyList<string> NotEmpty(IReadOnlyList<string> files) => [.. files.Where(file => FileTarget.Of(file).Length > 0)];

    private static FileFormat One(IReadOnlyList<string> files, FileFormat? format, string path, string at)
    {
        var text = FileFormat.Of(SourceFormat.Text);
        FileFormat[] formats = format is null ? [.. files.Select(file => FileFormat.ByName(file) ?? text).Distinct()] : [format];
        if (formats.Length > 1)
            throw new UserException(
                $"{at}\"{path}\" has files of several formats: "
                + string.Join(", ",
                files.GroupBy(file => FileFormat.ByName(file) ?? text)
                .Select(group => $"{group.Count()} {group.Key.Name} (such as {group.First()})"))
                + "; set format to choose one, or name them in sources of their own");
        foreach (var file in files)
            Compressible(formats[0], file, at);
        return formats[0];
    }

    private static FileFormat Compressible(FileFormat format, string file, string at) =>
        format.IsCompressible || !SourceStream.IsCompressed(file) ? format
            : throw new UserException($"{at}\"{file}\" is compressed as a whole, and {format.Name} is not read so (its columns are "
                + "compressed inside); decompress the file");

    private static string NameOf(string path) => Path.GetFileNameWithoutExtension(SourceStream.Uncompressed(path));
}

/// <summary>Lower-case extensions, whether .gz or .zst may follow (others compress internally), whether the text is a column, and how to
/// open records; without columns these are lines, used for pairs only.</summary>
internal sealed record FileFormat(
    SourceFormat Format, IReadOnlyList<string> Extensions, bool IsCompressible, bool HasColumns, Func<string, string, RecordReader> Records)
{
    /// <summary>All file formats; add new ones here.</summary>
    public static IReadOnlyList<FileFormat> All { get; } =
    [
        new(SourceFormat.Text, [".txt", ".text"], IsCompressible: true, HasColumns: false, (path, _) => new TextLinesReader(path)),
        new(SourceFormat.JsonLines, [".jsonl", ".ndjson", ".json"], IsCompressible: true, HasColumns: true,
            (path, column) => new JsonLinesReader(path, column)),
        new(SourceFormat.Parquet, [".parquet", ".pq"], IsCompressible: false, HasColumns: true,
            (path, column) => new ParquetTextReader(path, column)),
    ];

    public IEnumerable<TextPiece> Read(string path, string column) =>
        HasColumns ? RecordReader.Pieces(() => Records(path, column)) : Utf8Text.Read(path);

    public string Name => Format switch { SourceFormat.JsonLines => "jsonl", var format => format.ToString().ToLowerInvariant() };

    public static FileFormat Of(SourceFormat format) => All.Single(known => known.Format == format);

    public static FileFormat? ByName(string path)
    {
        var extension = Path.GetExtension(SourceStream.Uncompressed(path)).ToLowerInvariant();
        return All.FirstOrDefault(format => format.Extensions.Contains(extension));
    }
}
