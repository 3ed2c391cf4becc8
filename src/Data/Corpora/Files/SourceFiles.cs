using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The files that a source names, all of one format.</summary>
/// <param name="Name">What to call them together.</param>
/// <param name="Format">Their format.</param>
/// <param name="Files">Their absolute paths, in the order in which they are read.</param>
internal sealed record SourceFiles(string Name, FileFormat Format, IReadOnlyList<string> Files)
{
    /// <summary>Finds them.</summary>
    /// <param name="path">A file, a folder or a glob.</param>
    /// <param name="format">Their format; null where their names say.</param>
    /// <param name="at">What to call the path in messages, such as <c>data.train.0.path: </c>.</param>
    /// <exception cref="UserException">There is none, or they are of several formats.</exception>
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
            throw new UserException($"{at}there is no file \"{path}\" (looked for {whole}); a relative path starts at the working directory");
        if (new FileInfo(whole).Length == 0)
            throw new UserException($"{at}the file \"{path}\" ({whole}) is empty; name a file with text");
        return new SourceFiles(NameOf(whole), Compressible(format ?? FileFormat.ByName(whole) ?? FileFormat.Of(SourceFormat.Text), whole, at), [whole]);
    }

    /// <summary>Takes the files whose names tell a format; all of them where the user says that they are text.</summary>
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
                $"{at}the folder \"{path}\" ({whole}) has no {(format is null ? "files of a known format" : $"{format.Name} files")} with content "
                + $"({string.Join(", ", (format is null ? FileFormat.All : [format]).SelectMany(known => known.Extensions))}) among its {all.Count}; "
                + "name a glob such as \"" + Path.Combine(path, "**/*.md") + "\", or set format to \"text\" to read every file as text");
        return new SourceFiles(Path.GetFileName(Path.TrimEndingDirectorySeparator(whole)), One(files, format, path, at), files);
    }

    private static SourceFiles Glob(string path, FileFormat? format, string at)
    {
        var files = NotEmpty(FileGlob.Match(path));
        if (files.Count == 0)
            throw new UserException($"{at}no file with content matches \"{path}\" (looked in {Environment.CurrentDirectory}); * stands for any name, ** for any folders");
        return new SourceFiles(NameOf(files[0]), One(files, format, path, at), files);
    }

    private static IReadOnlyList<string> NotEmpty(IReadOnlyList<string> files) => [.. files.Where(file => new FileInfo(file).Length > 0)];

    private static FileFormat One(IReadOnlyList<string> files, FileFormat? format, string path, string at)
    {
        var text = FileFormat.Of(SourceFormat.Text);
        FileFormat[] formats = format is null ? [.. files.Select(file => FileFormat.ByName(file) ?? text).Distinct()] : [format];
        if (formats.Length > 1)
            throw new UserException(
                $"{at}\"{path}\" has files of several formats: "
                + string.Join(", ", files.GroupBy(file => FileFormat.ByName(file) ?? text).Select(group => $"{group.Count()} {group.Key.Name} (such as {group.First()})"))
                + "; set format to choose one, or name them in sources of their own");
        foreach (var file in files)
            Compressible(formats[0], file, at);
        return formats[0];
    }

    private static FileFormat Compressible(FileFormat format, string file, string at) =>
        format.IsCompressible || !SourceStream.IsCompressed(file) ? format
            : throw new UserException($"{at}\"{file}\" is compressed as a whole, and {format.Name} is not read so (its columns are compressed inside); decompress the file");

    /// <summary>The name without its extensions, of which compressed files have two.</summary>
    private static string NameOf(string path) => Path.GetFileNameWithoutExtension(SourceStream.Uncompressed(path));
}
