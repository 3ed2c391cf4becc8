using System.IO.Hashing;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A file of token ids, mapped into memory: opening it costs nothing and the system pages it in as it is read.</summary>
/// <remarks>Every block of 1 MiB is checked against its checksum when it is first read, so that damage is an
/// error and never silently trained on. Safe for several threads at once.</remarks>
public sealed class TokenShard : IDisposable
{
    private readonly ShardHeader header;
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;
    private readonly SafeMemoryMappedViewHandle memory;
    private readonly byte[] blockIsSound;   // 0 = not read yet; threads that race verify twice, to the same end

    private TokenShard(string name, string path, ShardHeader header, MemoryMappedFile file)
    {
        (Name, Path, this.header, this.file) = (name, path, header, file);
        view = file.CreateViewAccessor(0, header.FileLength, MemoryMappedFileAccess.Read);
        memory = view.SafeMemoryMappedViewHandle;
        blockIsSound = new byte[header.Blocks];
    }

    /// <summary>What the shard is called in messages, such as <c>data.train</c>.</summary>
    public string Name { get; }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The number of tokens.</summary>
    public long Length => header.Tokens;

    /// <summary>Token ids are below this number.</summary>
    public int VocabularySize => header.VocabularySize;

    /// <summary>The number of documents; each begins at a token of its own.</summary>
    public long DocumentCount => header.Documents;

    /// <summary>SHA-256, in hexadecimal, of all that the tokens depend on: tokenizer, sources and how they are split.</summary>
    public string Fingerprint => header.Fingerprint;

    /// <summary>All of its tokens.</summary>
    internal TokenRange All => new(Name, 0, Length);

    /// <summary>Opens a shard.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">What to call it in messages, such as <c>data.train</c>.</param>
    /// <returns>The shard; dispose of it to unmap the file.</returns>
    /// <exception cref="UserException">The file is missing, truncated, damaged, or no shard.</exception>
    public static TokenShard Open(string path, string name)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            Span<byte> head = stackalloc byte[ShardHeader.Size];
            var header = ShardHeader.Parse(head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)], stream.Length);
            var file = MemoryMappedFile.CreateFromFile(stream.SafeFileHandle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            var shard = new TokenShard(name, path, header, file);
            shard.VerifyTables();
            return shard;
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw Damaged(path, e.Message, e);
        }
    }

    /// <summary>Copies consecutive tokens.</summary>
    /// <param name="start">The index of the first one.</param>
    /// <param name="destination">Receives as many tokens as it is long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range goes past the end.</exception>
    /// <exception cref="UserException">The file is damaged there.</exception>
    public void Read(long start, Span<long> destination)
    {
        if (start < 0 || start > Length - destination.Length)
            throw new ArgumentOutOfRangeException(nameof(start), start, $"{destination.Length} tokens from there go past the {Length} of {Name}");
        Verify(start, destination.Length);
        if (header.BytesPerToken == sizeof(ushort))
            Read<ushort>(start, destination, static (from, to) =>
            {
                for (var i = 0; i < from.Length; i++)
                    to[i] = from[i];
            });
        else
            Read<int>(start, destination, static (from, to) =>
            {
                for (var i = 0; i < from.Length; i++)
                    to[i] = from[i];
            });
    }

    /// <summary>The index of a document's first token.</summary>
    /// <param name="document">The document, from 0 to <see cref="DocumentCount"/>−1.</param>
    /// <returns>The index.</returns>
    public long DocumentStart(long document)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(document);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(document, DocumentCount);
        return memory.Read<long>((ulong)(header.DocumentsOffset + document * sizeof(long)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        view.Dispose();
        file.Dispose();
    }

    private delegate void Widen<T>(ReadOnlySpan<T> from, Span<long> to);

    private void Read<T>(long start, Span<long> destination, Widen<T> widen) where T : unmanaged
    {
        Span<T> chunk = stackalloc T[512];
        while (!destination.IsEmpty)
        {
            var part = chunk[..Math.Min(chunk.Length, destination.Length)];
            memory.ReadSpan((ulong)(ShardHeader.Size + start * header.BytesPerToken), part);
            widen(part, destination);
            destination = destination[part.Length..];
            start += part.Length;
        }
    }

    private void Verify(long start, int count)
    {
        if (count == 0)
            return;
        var first = start * header.BytesPerToken / ShardHeader.BytesPerBlock;
        var last = ((start + count) * header.BytesPerToken - 1) / ShardHeader.BytesPerBlock;
        for (var block = first; block <= last; block++)
            if (Volatile.Read(ref blockIsSound[block]) == 0)
                VerifyBlock(block);
    }

    private void VerifyBlock(long block)
    {
        var offset = block * ShardHeader.BytesPerBlock;
        var length = Math.Min(ShardHeader.BytesPerBlock, Length * header.BytesPerToken - offset);
        var expected = memory.Read<uint>((ulong)(header.SumsOffset + block * sizeof(uint)));
        if (Sum(ShardHeader.Size + offset, length) != expected)
            throw Damaged(Path, $"tokens {offset / header.BytesPerToken} to {(offset + length) / header.BytesPerToken - 1} do not match their checksum");
        Volatile.Write(ref blockIsSound[block], 1);
    }

    private void VerifyTables()
    {
        if (Sum(header.DocumentsOffset, header.FileLength - header.DocumentsOffset) != header.TableSum)
        {
            Dispose();
            throw new InvalidDataException("its tables do not match their checksum");
        }
    }

    private uint Sum(long offset, long length)
    {
        Span<byte> chunk = stackalloc byte[8192];
        var sum = new Crc32(Crc32ParameterSet.Crc32C);
        for (var end = offset + length; offset < end;)
        {
            var part = chunk[..(int)Math.Min(chunk.Length, end - offset)];
            memory.ReadSpan((ulong)offset, part);
            sum.Append(part);
            offset += part.Length;
        }
        return sum.GetCurrentHashAsUInt32();
    }

    private static UserException Damaged(string path, string what, Exception? inner = null) =>
        new($"the token shard {path} cannot be used: {what.TrimEnd('.')}; delete its folder and prepare the data again", inner);
}
