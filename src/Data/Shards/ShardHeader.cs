using System.Buffers.Binary;
using System.IO.Hashing;

namespace Trainer.Data;

/// <summary>The first 128 bytes of a shard, little-endian.</summary>
/// <remarks>
/// <code>
///   0  8  magic "TRNSHARD"        24  8  documents             40  32  fingerprint
///   8  4  format version          32  4  vocabulary size       72   4  CRC-32C of documents and block sums
///  12  4  bytes per token (2, 4)  36  4  bytes per block       76   4  CRC-32C of bytes 0 to 75
///  16  8  tokens
/// </code>
/// After it: the tokens, padded to 8 bytes; one u64 per document, the index of its first token; one u32 per block
/// of tokens, its CRC-32C.
/// </remarks>
internal sealed record ShardHeader(int BytesPerToken, long Tokens, long Documents, int VocabularySize, string Fingerprint, uint TableSum)
{
    public const int Size = 128;
    public const int BytesPerBlock = 1 << 20;
    private const int Version = 1;
    private const int Summed = 76;
    private static ReadOnlySpan<byte> Magic => "TRNSHARD"u8;

    /// <summary>Where the table of documents starts.</summary>
    public long DocumentsOffset => Size + (Tokens * BytesPerToken + 7) / 8 * 8;

    /// <summary>Where the table of block sums starts.</summary>
    public long SumsOffset => DocumentsOffset + Documents * sizeof(long);

    /// <summary>The number of blocks, the last one perhaps shorter.</summary>
    public long Blocks => (Tokens * BytesPerToken + BytesPerBlock - 1) / BytesPerBlock;

    /// <summary>The length of the whole file.</summary>
    public long FileLength => SumsOffset + Blocks * sizeof(uint);

    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), BytesPerToken);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Documents);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(32), VocabularySize);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(36), BytesPerBlock);
        Convert.FromHexString(Fingerprint).CopyTo(bytes, 40);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(72), TableSum);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(Summed), Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, bytes.AsSpan(0, Summed)));
        return bytes;
    }

    /// <summary>Reads a header and checks it against the length of the file.</summary>
    /// <exception cref="InvalidDataException">What is wrong, without the path.</exception>
    public static ShardHeader Parse(ReadOnlySpan<byte> bytes, long fileLength)
    {
        if (bytes.Length < Size)
            throw new InvalidDataException($"it has {fileLength} bytes, fewer than the {Size} of a header");
        if (!bytes.StartsWith(Magic))
            throw new InvalidDataException("it is no token shard (it does not begin with TRNSHARD)");
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]) is var version && version != Version)
            throw new InvalidDataException($"its format version is {version}; this program reads version {Version}");
        if (Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, bytes[..Summed]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[Summed..]))
            throw new InvalidDataException("its header does not match its checksum");
        var header = new ShardHeader(
            BytesPerToken: BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
            Tokens: BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            Documents: BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            VocabularySize: BinaryPrimitives.ReadInt32LittleEndian(bytes[32..]),
            Fingerprint: Convert.ToHexStringLower(bytes.Slice(40, 32)),
            TableSum: BinaryPrimitives.ReadUInt32LittleEndian(bytes[72..]));
        if (header.FileLength != fileLength)
            throw new InvalidDataException($"it has {fileLength} bytes, but its {header.Tokens} tokens and {header.Documents} documents take {header.FileLength}");
        return header;
    }
}
