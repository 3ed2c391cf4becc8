using System.Runtime.InteropServices;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

internal static class DotnetInstallation
{
    /// <summary>The first folder with documentation among DOTNET_ROOT, the running host and runtime, and dotnet on the PATH.</summary>
    public static string Find() => Find(
        root => ReferencePacks.Find(root).Count > 0, "format dotnet-docs needs the documentation of a .NET SDK, packs/*/*/ref/*/*.xml",
        "the runtime alone has no documentation");

    public static string Find(Predicate<string> holds, string need, string hint)
    {
        string[] candidates = [.. Candidates().OfType<string>().Distinct()];
        return Array.Find(candidates, holds)
            ?? throw new UserException(
                $"{need}, and it is not in {string.Join(", ", candidates)}; install the .NET SDK ({hint}), "
                + "or set DOTNET_ROOT to the folder of one");
    }

    private static IEnumerable<string?> Candidates()
    {
        yield return Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } root ? Path.GetFullPath(root) : null;
        yield return Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet"
            ? Path.GetDirectoryName(Target(host))
            : null;
        // <root>/shared/Microsoft.NETCore.App/<version>/
        yield return Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            foreach (var name in new[] { "dotnet", "dotnet.exe" })
                if (Path.Combine(folder, name) is var file && File.Exists(file))
                    yield return Path.GetDirectoryName(Target(file));
    }

    private static string Target(string file) => File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(file);
}

/// <summary>A documentation file of a reference pack; the path is relative to the .NET root, with forward slashes.</summary>
internal sealed record PackFile(string Path, long Bytes);

internal static class ReferencePacks
{
    private const string Base = "Microsoft.NETCore.App.Ref";

    /// <summary>The files of each pack's newest version, by name; the base library first, since other packs repeat it.</summary>
    public static IReadOnlyList<PackFile> Find(string root) =>
        [.. Folders(Path.Combine(root, "packs"))
            .OrderBy(pack => Path.GetFileName(pack) == Base ? 0 : 1).ThenBy(Path.GetFileName, StringComparer.Ordinal)
            .Select(Newest).OfType<string>()
            .Select(version => Newest(Path.Combine(version, "ref"))).OfType<string>()
            .SelectMany(framework => Directory.GetFiles(framework, "*.xml").Order(StringComparer.Ordinal))
            .Select(file => new PackFile(Path.GetRelativePath(root, file).Replace('\\', '/'), new FileInfo(file).Length))];

    /// <summary>The assemblies of a pack's newest version, by name; none where there is no such pack.</summary>
    public static IReadOnlyList<string> Assemblies(string root, string pack) =>
        Newest(Path.Combine(root, "packs", pack)) is { } version && Newest(Path.Combine(version, "ref")) is { } framework
            ? [.. Directory.GetFiles(framework, "*.dll").Order(StringComparer.Ordinal)]
            : [];

    /// <summary>The subfolder with the highest version in its name (10.0.12, net10.0); a release precedes a preview.</summary>
    private static string? Newest(string folder) =>
        Folders(folder)
            .Select(path => (Path: path, Version: VersionOf(Path.GetFileName(path)), Preview: Path.GetFileName(path).Contains('-')))
            .Where(candidate => candidate.Version is not null)
            .OrderByDescending(candidate => candidate.Version).ThenBy(candidate => candidate.Preview)
            .ThenByDescending(candidate => candidate.Path, StringComparer.Ordinal)
            .Select(candidate => candidate.Path).FirstOrDefault();

    private static Version? VersionOf(string name)
    {
        var number = (name.StartsWith("net", StringComparison.Ordinal) ? name[3..] : name).Split('-')[0];
        return Version.TryParse(number, out var version) ? version : null;
    }

    private static string[] Folders(string folder) => Directory.Exists(folder) ? Directory.GetDirectories(folder) : [];
}

/// <summary>An assembly with translated resources and its neutral one; paths are relative to the .NET root, with forward slashes.</summary>
internal sealed record SatelliteAssembly(string Language, string Neutral, string Satellite, long Bytes);

internal static class SatelliteAssemblies
{
    private const string Suffix = ".resources.dll";

    /// <summary>Satellites of the newest SDK and its packs that have a neutral assembly, in ordinal order of their paths.</summary>
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
            .Select(path => (Path: path, Version: Version.TryParse(Path.GetFileName(path).Split('-')[0], out var version) ? version : null,
            Preview: Path.GetFileName(path).Contains('-')))
            .Where(sdk => sdk.Version is not null)
            .OrderByDescending(sdk => sdk.Version).ThenBy(sdk => sdk.Preview).ThenByDescending(sdk => sdk.Path, StringComparer.Ordinal)
            .Select(sdk => sdk.Path).FirstOrDefault();

    private static string Relative(string root, string path) => Path.GetRelativePath(root, path).Replace('\\', '/');
}
