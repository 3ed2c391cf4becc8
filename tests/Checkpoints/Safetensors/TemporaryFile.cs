namespace Trainer.Checkpoints.Tests;

/// <summary>A file name of its own, the file removed at the end.</summary>
internal sealed class TemporaryFile : IDisposable
{
    internal string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors");

    public void Dispose() => File.Delete(Path);
}
