using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using Trainer.Configuration;

namespace Trainer.Data.Preparation;

/// <summary>A source file as it was when prepared: last write in UTC ticks, SHA-256 in hexadecimal.</summary>
public sealed record SourceStamp(string Path, long Bytes, long Modified, string Sha256)
{
    internal static SourceStamp Of(string path)
    {
        try
        {
            var information = FileTarget.Of(path);
            using var stream = information.OpenRead();
            return new SourceStamp(path, information.Length, information.LastWriteTimeUtc.Ticks,
                Convert.ToHexStringLower(SHA256.HashData(stream)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
        }
    }

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

    internal bool IsUntouched()
    {
        var information = FileTarget.Of(Path);
        return information.Exists && information.Length == Bytes && information.LastWriteTimeUtc.Ticks == Modified;
    }
}
