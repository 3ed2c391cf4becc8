using System.Buffers.Binary;
using System.IO.Hashing;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using Trainer.Configuration;

namespace Trainer.Data.Shards;

/// <summary>A memory-mapped file of token ids: opening is free, and pages load as they are read. Each 1 MiB block is verified on first
/// read, so damage is an error and never trained on. Thread-safe.</summary>
public sealed class TokenShard : IDisposable
{
    private readonly ShardHeader header;
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;
    private readonly SafeMemoryMappedViewHandle memory;
    private readonly byte[] blockIsSound;   // 0 = not yet verified; racing threads harmlessly verify twice

    private TokenShard(string name, string path, ShardHeader header, MemoryMappedFile file)
    {
        (Name, Path, this.header, this.file) = (name, path, header, file);
        view = file.CreateViewAccessor(0, header.FileLength, MemoryMappedFileAccess.Read);
        memory = view.SafeMemoryMappedViewHandle;
        blockIsSound = new byte[header.Blocks];
    }

    /// <summary>The name in messages, such as <c>data.train</c>.</summary>
    public string Name { get; }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Number of tokens.</summary>
    public long Length => header.Tokens;

    /// <summary>Exclusive bound on token ids.</summary>
    public int VocabularySize => header.VocabularySize;

    /// <summary>Number of documents.</summary>
    public long DocumentCount => header.Documents;

    /// <summary>SHA-256, in hexadecimal, of all that the tokens depend on: tokenizer, sources and split.</summary>
    public string Fingerprint => header.Fingerprint;

    /// <summary>Whether it says which tokens are learned; else all are.</summary>
    public bool MarksLearned => header.MarksLearned;

    internal TokenRange All => new(Name, 0, Length);

    /// <summary>Opens a shard, with a name such as <c>data.train</c> for messages; throws where it is missing or damaged.</summary>
    public static TokenShard Open(string path, string name)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            Span<byte> head = stackalloc byte[ShardHeader.Size];
            var header = ShardHeader.Parse(head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)], stream.Length);
            var file = MemoryMappedFile.CreateFromFile(stream.SafeFileHandle, null, 0, MemoryMappedFileAccess.Read,
                HandleInheritability.None, leaveOpen: true);
            var shard = new TokenShard(name, path, header, file);
            shard.VerifyTables();
            return shard;
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw Damaged(path, e.Message, e);
        }
    }

    /// <summary>Copies consecutive tokens, as many as the destination holds; throws where the file is damaged there.</summary>
    public void Read(long start, Span<long> destination)
    {
        if (start < 0 || start > Length - destination.Length)
            throw new ArgumentOutOfRangeException(nameof(start), start,
                $"{destination.Length} tokens from there go past the {Length} of {Name}");
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

    /// <summary>Which of consecutive tokens are learned; all, where nothing is marked.</summary>
    public void ReadLearned(long start, Span<bool> destination)
    {
        if (start < 0 || start > Length - destination.Length)
            throw new ArgumentOutOfRangeException(nameof(start), start,
                $"{destination.Length} tokens from there go past the {Length} of {Name}");
        if (!MarksLearned)
            destination.Fill(true);
        else
            for (var i = 0; i < destination.Length; i++)
                destination[i] = IsLearned(start + i);
    }

    /// <summary>Whether any of consecutive tokens is learned.</summary>
    internal bool AnyLearned(long start, long count)
    {
        if (!MarksLearned)
            return count > 0;
        for (var end = start + count; start < end; start++)
            if (IsLearned(start))
                return true;
        return false;
    }

    private bool IsLearned(long token) =>
        (memory.Read<byte>((ulong)(header.LearnedOffset + token / 8)) >> (int)(token % 8) & 1) == 1;

    /// <summary>The index of a document's first token.</summary>
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
            throw Damaged(Path,
                $"tokens {offset / header.BytesPerToken} to {(offset + length) / header.BytesPerToken - 1} do not match their checksum");
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

/// <summary>The first 128 bytes of a shard, little-endian.</summary>
/// <remarks>
/// <code>
///   0  8  magic "TRNSHARD"        24  8  documents             40  32  fingerprint
///   8  4  format version          32  4  vocabulary size       72   4  CRC-32C of documents and block sums
///  12  4  bytes per token (2, 4)  36  4  bytes per block       76   4  CRC-32C of bytes 0 to 75
///  16  8  tokens
/// </code>
/// After it: the tokens, padded to 8 bytes; one u64 per document, the index of its first token; one u32 per block
/// of tokens, its CRC-32C; in version 2, one bit per token, from the lowest, whether it is learned. The CRC-32C of the tables
/// covers all behind the tokens.
/// </remarks>
internal sealed record ShardHeader(
    int BytesPerToken, long Tokens, long Documents, int VocabularySize, string Fingerprint, uint TableSum, bool MarksLearned)
{
    public const int Size = 128;
    public const int BytesPerBlock = 1 << 20;
    private const int Version = 1;
    private const int MarkedVersion = 2;
    private const int Summed = 76;
    private static ReadOnlySpan<byte> Magic => "TRNSHARD"u8;

    public long DocumentsOffset => Size + (Tokens * BytesPerToken + 7) / 8 * 8;

    public long SumsOffset => DocumentsOffset + Documents * sizeof(long);

    public long Blocks => (Tokens * BytesPerToken + BytesPerBlock - 1) / BytesPerBlock;

    public long LearnedOffset => SumsOffset + Blocks * sizeof(uint);

    public long FileLength => LearnedOffset + (MarksLearned ? (Tokens + 7) / 8 : 0);

    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), MarksLearned ? MarkedVersion : Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), BytesPerToken);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Documents);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(32), VocabularySize);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(36), BytesPerBlock);
        Convert.FromHexString(Fingerprint).CopyTo(bytes, 40);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(72), TableSum);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(Summed),
            Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, bytes.AsSpan(0, Summed)));
        return bytes;
    }

    /// <summary>Checks a header against the file length; an <see cref="InvalidDataException"/> says what is wrong.</summary>
    public static ShardHeader Parse(ReadOnlySpan<byte> bytes, long fileLength)
    {
        if (bytes.Length < Size)
            throw new InvalidDataException($"it has {fileLength} bytes, fewer than the {Size} of a header");
        if (!bytes.StartsWith(Magic))
            throw new InvalidDataException("it is no token shard (it does not begin with TRNSHARD)");
        var version = BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
        if (version is not (Version or MarkedVersion))
            throw new InvalidDataException($"its format version is {version}; this program reads versions {Version} and {MarkedVersion}");
        if (Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, bytes[..Summed]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[Summed..]))
            throw new InvalidDataException("its header does not match its checksum");
        var header = new ShardHeader(
            BytesPerToken: BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
            Tokens: BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            Documents: BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            VocabularySize: BinaryPrimitives.ReadInt32LittleEndian(bytes[32..]),
            Fingerprint: Convert.ToHexStringLower(bytes.Slice(40, 32)),
            TableSum: BinaryPrimitives.ReadUInt32LittleEndian(bytes[72..]),
            MarksLearned: version == MarkedVersion);
        if (header.FileLength != fileLength)
            throw new InvalidDataException($"it has {fileLength} bytes, but its {header.Tokens} tokens and {header.Documents} documents "
                + $"take {header.FileLength}");
        return header;
    }
}

/// <summary>The tokens of one source in a shard; the length is 0 when all of it is held out.</summary>
public sealed record TokenRange(string Name, long Start, long Length);
