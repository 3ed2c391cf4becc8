namespace Trainer.Checkpoints.Tests;

/// <summary>A folder that is removed with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public TemporaryFolder() => Directory.CreateDirectory(Root);

    public string Root { get; } = Path.Combine(Path.GetTempPath(), "trainer-conversion-" + Guid.NewGuid().ToString("N")[..12]);

    public string PathOf(string name) => Path.Combine(Root, name);

    /// <summary>A copy of a fixture, to be damaged.</summary>
    public string Copy(string fixture)
    {
        string to = PathOf(fixture);
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(Goldens.PathOf(fixture)))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        return to;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
