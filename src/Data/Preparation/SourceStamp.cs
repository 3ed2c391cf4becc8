using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A source file as it was when it was prepared.</summary>
/// <param name="Path">The absolute path.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Modified">When it was last written, in ticks of UTC.</param>
/// <param name="Sha256">The hash of its content, in hexadecimal.</param>
public sealed record SourceStamp(string Path, long Bytes, long Modified, string Sha256)
{
    /// <summary>Reads a file for its stamp.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    internal static SourceStamp Of(string path)
    {
        try
        {
            var information = new FileInfo(path);
            using var stream = information.OpenRead();
            return new SourceStamp(path, information.Length, information.LastWriteTimeUtc.Ticks, Convert.ToHexStringLower(SHA256.HashData(stream)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads files for their stamps, several at once.</summary>
    /// <exception cref="UserException">A file cannot be read.</exception>
    internal static SourceStamp[] OfAll(IEnumerable<string> paths)
    {
        try
        {
            return [.. paths.AsParallel().AsOrdered().Select(Of)];
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
            throw;
        }
    }

    /// <summary>Whether size and time say that the file was not touched since.</summary>
    internal bool IsUntouched()
    {
        var information = new FileInfo(Path);
        return information.Exists && information.Length == Bytes && information.LastWriteTimeUtc.Ticks == Modified;
    }
}
