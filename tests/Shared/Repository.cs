namespace Trainer.Tests;

/// <summary>Files beside the tests.</summary>
internal static class Repository
{
    internal static string Root { get; } = FindRoot();

    internal static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Trainer.sln"))) return folder.FullName;
        throw new InvalidOperationException("The tests run from inside the repository.");
    }
}
