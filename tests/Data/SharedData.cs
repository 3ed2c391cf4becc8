namespace Trainer.Data.Tests;

/// <summary>Texts beside some checkouts, in <c>../shared/data</c>; tests that need them are skipped without them.</summary>
internal static class SharedData
{
    /// <summary>The path of a file, or null if it is missing.</summary>
    public static string? Find(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Trainer.sln")))
                return Path.Combine(folder.FullName, "..", "shared", "data", name) is var path && File.Exists(path) ? path : null;
        return null;
    }
}
