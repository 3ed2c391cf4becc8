using System.Text.RegularExpressions;
using ParquetSharp;
using Trainer.Configuration;

namespace Trainer.Data.Parquet;

/// <summary>Keeps damage from Arrow's reader, which trusts a file's sizes, and explains its errors (<see cref="ParquetChunk"/>).</summary>
internal sealed partial class ParquetGuard : IDisposable
{
    private readonly string path;
    private readonly FileStream file;

    /// <exception cref="UserException">The file cannot be read, or is no Parquet.</exception>
    public ParquetGuard(string path)
    {
        this.path = path;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
        }
        Span<byte> ends = stackalloc byte[8];
        if (file.Length >= 12)
        {
            file.ReadExactly(ends[..4]);
            file.Position = file.Length - 4;
            file.ReadExactly(ends[4..]);
        }
        if (ends.SequenceEqual("PAR1PAR1"u8))
            return;
        file.Dispose();
        throw new UserException(ends[4..].SequenceEqual("PARE"u8) ? $"{path} is encrypted; decrypt it first"
            : $"{path} is damaged: it does not begin and end with PAR1, as Parquet does; it is cut off, or is something else; get or "
                + "write the file again");
    }

    /// <summary>Refuses a column of a row group whose codec is unknown, or whose pages do not fit the file.</summary>
    public void Check(ParquetLeaf leaf, int group)
    {
        try
        {
            if (ParquetChunk.ReadAll(file, leaf.Index).ElementAtOrDefault(group) is not { } chunk)
                return;
            if (!chunk.HasKnownCodec)
                throw new UserException($"{path}, column \"{leaf.Path}\", row group {group}: it is compressed with codec {chunk.Codec}, "
                    + "which is not known here; write it with another codec, such as zstd");
            chunk.CheckPages(file);
        }
        catch (InvalidDataException e)
        {
            throw Damaged(leaf, $"row group {group}: {e.Message}", e);
        }
    }

    public UserException Damaged(ParquetLeaf leaf, string reason, Exception? inner = null) =>
        new($"{path} is damaged, column \"{leaf.Path}\", {reason}; get or write the file again", inner);

    public T Read<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is ParquetException or ArgumentException or InvalidCastException or OverflowException
            or NotSupportedException or InvalidDataException)
        {
            var message = Message().Match(e.Message) is { Success: true } match ? match.Groups[1].Value : e.Message;
            throw new UserException($"{path} cannot be read as Parquet: {message.ReplaceLineEndings(" ").Trim().TrimEnd('.')}; get or "
                + "write the file again", e);
        }
    }

    public void Dispose() => file.Dispose();

    [GeneratedRegex(@"\(message: '(?:IOError: |Invalid: )?(.*)'\)\s*$", RegexOptions.Singleline)]
    private static partial Regex Message();
}
