namespace Trainer.Data;

/// <summary>The file at the end of symbolic links, whose size and time are what counts: those of a <see cref="FileInfo"/> are the link's.
/// </summary>
public static class FileTarget
{
    /// <summary>What the path leads to; it may not exist.</summary>
    /// <exception cref="IOException">Links lead in a circle.</exception>
    public static FileInfo Of(string path)
    {
        FileInfo file = new(path);
        return file.LinkTarget is null ? file : (FileInfo)file.ResolveLinkTarget(returnFinalTarget: true)!;
    }
}
