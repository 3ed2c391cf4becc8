using System.Runtime.InteropServices;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Where the .NET SDK is installed.</summary>
internal static class DotnetRoot
{
    /// <summary>Looks at DOTNET_ROOT, the running host and runtime, and <c>dotnet</c> on the PATH, in this order.</summary>
    /// <returns>The first folder that holds reference packs with documentation.</returns>
    /// <exception cref="UserException">None does.</exception>
    public static string Find() => Find(
        root => ReferencePacks.Find(root).Count > 0, "format dotnet-docs needs the documentation of a .NET SDK, packs/*/*/ref/*/*.xml", "the runtime alone has no documentation");

    /// <summary>As above, for a folder that holds something else.</summary>
    /// <param name="holds">Whether a folder holds it.</param>
    /// <param name="need">What needs what, for the message.</param>
    /// <param name="hint">Why there may be an installation without it.</param>
    public static string Find(Predicate<string> holds, string need, string hint)
    {
        string[] candidates = [.. Candidates().OfType<string>().Distinct()];
        return Array.Find(candidates, holds)
            ?? throw new UserException(
                $"{need}, and it is not in {string.Join(", ", candidates)}; install the .NET SDK ({hint}), or set DOTNET_ROOT to the folder of one");
    }

    private static IEnumerable<string?> Candidates()
    {
        yield return Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } root ? Path.GetFullPath(root) : null;
        yield return Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? Path.GetDirectoryName(Target(host)) : null;
        // <root>/shared/Microsoft.NETCore.App/<version>/
        yield return Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            foreach (var name in new[] { "dotnet", "dotnet.exe" })
                if (Path.Combine(folder, name) is var file && File.Exists(file))
                    yield return Path.GetDirectoryName(Target(file));
    }

    private static string Target(string file) => File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(file);
}
