using Trainer.Configuration;
using ZstdSharp;

namespace Trainer.Data;

/// <summary>The bytes of a source file, decompressed when its name ends in .gz or .zst; what goes wrong is a <see cref="UserException"/> that names the file.</summary>
internal sealed class SourceStream : ReadOnlyStream
{
    private readonly string path;
    private readonly FileStream file;
    private readonly Stream content;

    private SourceStream(string path, FileStream file, Stream content) => (this.path, this.file, this.content) = (path, file, content);

    /// <summary>The file's name without the extension of its compression.</summary>
    public static string Uncompressed(string path) => IsCompressed(path) ? Path.ChangeExtension(path, null) : path;

    /// <summary>Whether the name says that the file is compressed.</summary>
    public static bool IsCompressed(string path) => Path.GetExtension(path).ToLowerInvariant() is ".gz" or ".zst";

    /// <summary>Opens a file at its beginning.</summary>
    /// <exception cref="UserException">The file cannot be opened.</exception>
    public static SourceStream Open(string path)
    {
        var file = OpenFile(path);
        try
        {
            return new SourceStream(path, file, Path.GetExtension(path).ToLowerInvariant() switch
            {
                ".gz" => Gzip.Open(file),
                ".zst" => Zstd.Open(file),
                _ => file,
            });
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="UserException">The file cannot be read, or is not compressed in the way its name says.</exception>
    public override int Read(Span<byte> buffer)
    {
        try
        {
            return content.Read(buffer);
        }
        catch (Exception e) when (e is InvalidDataException or ZstdException or EndOfStreamException)
        {
            var kind = Path.GetExtension(path);
            throw new UserException($"{path} is damaged at or before byte {file.Position}, or is not a {kind} file: {e.Message.TrimEnd('.')}; get the file again", e);
        }
        catch (IOException e)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private static FileStream OpenFile(string path)
    {
        try
        {
            var buffer = IsCompressed(path) ? 1 << 16 : 0;
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, buffer, FileOptions.SequentialScan);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            content.Dispose();
        base.Dispose(disposing);
    }
}
