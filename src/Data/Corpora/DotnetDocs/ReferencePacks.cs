namespace Trainer.Data;

/// <summary>A documentation file of a reference pack.</summary>
/// <param name="Path">Its path relative to the .NET root, with forward slashes; it holds pack, version and framework.</param>
/// <param name="Bytes">Its size.</param>
internal sealed record PackFile(string Path, long Bytes);

/// <summary>The documentation files in <c>packs/&lt;pack&gt;/&lt;version&gt;/ref/&lt;framework&gt;/</c>.</summary>
internal static class ReferencePacks
{
    private const string Base = "Microsoft.NETCore.App.Ref";

    /// <summary>Lists the files of the newest version of each pack, for its newest framework.</summary>
    /// <param name="root">The .NET root.</param>
    /// <returns>The files: the base library's first, since other packs repeat some of them; then by name.</returns>
    public static IReadOnlyList<PackFile> Find(string root) =>
        [.. Folders(Path.Combine(root, "packs"))
            .OrderBy(pack => Path.GetFileName(pack) == Base ? 0 : 1).ThenBy(Path.GetFileName, StringComparer.Ordinal)
            .Select(Newest).OfType<string>()
            .Select(version => Newest(Path.Combine(version, "ref"))).OfType<string>()
            .SelectMany(framework => Directory.GetFiles(framework, "*.xml").Order(StringComparer.Ordinal))
            .Select(file => new PackFile(Path.GetRelativePath(root, file).Replace('\\', '/'), new FileInfo(file).Length))];

    /// <summary>The subfolder with the highest version in its name (10.0.12, net10.0); of equal ones a release goes before a preview.</summary>
    private static string? Newest(string folder) =>
        Folders(folder)
            .Select(path => (Path: path, Version: VersionOf(Path.GetFileName(path)), Preview: Path.GetFileName(path).Contains('-')))
            .Where(candidate => candidate.Version is not null)
            .OrderByDescending(candidate => candidate.Version).ThenBy(candidate => candidate.Preview).ThenByDescending(candidate => candidate.Path, StringComparer.Ordinal)
            .Select(candidate => candidate.Path).FirstOrDefault();

    private static Version? VersionOf(string name)
    {
        var number = (name.StartsWith("net", StringComparison.Ordinal) ? name[3..] : name).Split('-')[0];
        return Version.TryParse(number, out var version) ? version : null;
    }

    private static string[] Folders(string folder) => Directory.Exists(folder) ? Directory.GetDirectories(folder) : [];
}
