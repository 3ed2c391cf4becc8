namespace Trainer.Data;

/// <summary>An assembly and the one beside it that holds its texts in another language.</summary>
/// <param name="Language">The language, such as <c>de</c>.</param>
/// <param name="Neutral">The path of the assembly with the English texts, relative to the .NET root, with forward slashes.</param>
/// <param name="Satellite">The path of the other, <c>&lt;language&gt;/*.resources.dll</c>.</param>
/// <param name="Bytes">The size of the other.</param>
internal sealed record SatelliteAssembly(string Language, string Neutral, string Satellite, long Bytes);

/// <summary>The satellite assemblies of the newest SDK and of the packs beside it.</summary>
internal static class SatelliteAssemblies
{
    private const string Suffix = ".resources.dll";

    /// <summary>Lists them.</summary>
    /// <param name="root">The .NET root.</param>
    /// <param name="languages">The languages to look for.</param>
    /// <returns>Those that have an assembly beside them, in ordinal order of their paths.</returns>
    public static IReadOnlyList<SatelliteAssembly> Find(string root, IReadOnlyList<string> languages) =>
        [.. new[] { Newest(Path.Combine(root, "sdk")), Path.Combine(root, "packs") }.OfType<string>().Where(Directory.Exists)
            .SelectMany(folder => Directory.GetFiles(folder, "*" + Suffix, SearchOption.AllDirectories))
            .Select(file => Pair(root, file, languages)).OfType<SatelliteAssembly>()
            .OrderBy(pair => pair.Satellite, StringComparer.Ordinal)];

    private static SatelliteAssembly? Pair(string root, string file, IReadOnlyList<string> languages)
    {
        var folder = Path.GetDirectoryName(file)!;
        var language = Path.GetFileName(folder);
        var beside = Path.Combine(Path.GetDirectoryName(folder)!, Path.GetFileName(file)[..^Suffix.Length]);
        var neutral = new[] { beside + ".dll", beside + ".exe" }.FirstOrDefault(File.Exists);
        return neutral is not null && languages.Contains(language)
            ? new SatelliteAssembly(language, Relative(root, neutral), Relative(root, file), new FileInfo(file).Length)
            : null;
    }

    private static string? Newest(string folder) =>
        !Directory.Exists(folder) ? null : Directory.GetDirectories(folder)
            .Select(path => (Path: path, Version: Version.TryParse(Path.GetFileName(path).Split('-')[0], out var version) ? version : null, Preview: Path.GetFileName(path).Contains('-')))
            .Where(sdk => sdk.Version is not null)
            .OrderByDescending(sdk => sdk.Version).ThenBy(sdk => sdk.Preview).ThenByDescending(sdk => sdk.Path, StringComparer.Ordinal)
            .Select(sdk => sdk.Path).FirstOrDefault();

    private static string Relative(string root, string path) => Path.GetRelativePath(root, path).Replace('\\', '/');
}
