using System.IO.Compression;
using Trainer.Configuration;
using ZstdSharp;

namespace Trainer.Data.Corpora;

/// <summary>A source file's bytes, decompressed if its name ends in .gz or .zst; errors are <see cref="UserException"/>s.</summary>
internal sealed class SourceStream : ReadOnlyStream
{
    private readonly string path;
    private readonly FileStream file;
    private readonly Stream content;

    private SourceStream(string path, FileStream file, Stream content) => (this.path, this.file, this.content) = (path, file, content);

    public static string Uncompressed(string path) => IsCompressed(path) ? Path.ChangeExtension(path, null) : path;

    public static bool IsCompressed(string path) => Path.GetExtension(path).ToLowerInvariant() is ".gz" or ".zst";

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

    public override int Read(Span<byte> buffer)
    {
        try
        {
            return content.Read(buffer);
        }
        catch (Exception e) when (e is InvalidDataException or ZstdException or EndOfStreamException)
        {
            var kind = Path.GetExtension(path);
            throw new UserException($"{path} is damaged at or before byte {file.Position}, or is not a {kind} "
                + $"file: {e.Message.TrimEnd('.')}; get the file again", e);
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

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            content.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>gzip that detects truncation. .NET treats a truncated stream as complete unless this switch is set before the process first
/// compresses anything, so Directory.Build.props sets it too.</summary>
internal static class Gzip
{
    static Gzip() => AppContext.SetSwitch("System.IO.Compression.UseStrictValidation", true);

    public static Stream Open(Stream source) => new GZipStream(source, CompressionMode.Decompress);
}

internal static class Zstd
{
    /// <summary>Decompresses Zstandard frames (RFC 8878) with windows of up to 128 MiB; the result owns the source. Damage is a
    /// <see cref="ZstdException"/>, truncation an <see cref="EndOfStreamException"/>.</summary>
    public static Stream Open(Stream source) => new DecompressionStream(source, checkEndOfStream: true, leaveOpen: false);
}

internal abstract class ReadOnlyStream : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public abstract override int Read(Span<byte> buffer);

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush() { }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
