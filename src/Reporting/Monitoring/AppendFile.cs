using Trainer.Configuration;

namespace Trainer.Reporting.Monitoring;

/// <summary>An append-only file. Each call is one unbuffered write to the operating system, so killing the process loses nothing.</summary>
internal sealed class AppendFile : IDisposable
{
    private readonly FileStream _stream;

    /// <summary>Opens or creates the file and its directory. <paramref name="endLine"/> adds a line end lost to <c>kill -9</c>.</summary>
    public AppendFile(string path, bool endLine = false, bool startOver = false)
    {
        Path = path;
        try
        {
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!);
            FileMode mode = startOver ? FileMode.Create : FileMode.OpenOrCreate;
            _stream = new FileStream(path, mode, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            if (endLine)
                EndLine();
            _stream.Seek(0, SeekOrigin.End);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _stream?.Dispose();
            throw new UserException($"{path}: cannot be opened for writing: {failure.Message}", failure);
        }
    }

    public string Path { get; }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _stream.Write(bytes);
        }
        catch (IOException failure)
        {
            throw CannotWrite(failure);
        }
    }

    /// <summary>Flushes to the disk itself, to survive a loss of power.</summary>
    public void Flush()
    {
        try
        {
            _stream.Flush(flushToDisk: true);
        }
        catch (IOException failure)
        {
            throw CannotWrite(failure);
        }
    }

    public void Dispose() => _stream.Dispose();

    private void EndLine()
    {
        if (_stream.Length == 0)
            return;
        _stream.Seek(-1, SeekOrigin.End);
        if (_stream.ReadByte() != '\n')
            _stream.WriteByte((byte)'\n');
    }

    private UserException CannotWrite(IOException failure) =>
        new($"{Path}: cannot be written: {failure.Message} Free some space and go on from the newest checkpoint with --resume.", failure);
}
