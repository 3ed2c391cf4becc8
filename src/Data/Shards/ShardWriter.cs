using System.Buffers.Binary;
using System.IO.Hashing;

namespace Trainer.Data.Shards;

/// <summary>Writes a shard token by token in constant memory (but for 4 bytes per block of 1 MiB).</summary>
internal sealed class ShardWriter : IDisposable
{
    private readonly FileStream stream;
    private readonly int vocabularySize;
    private readonly int bytesPerToken;
    private readonly byte[] block = new byte[ShardHeader.BytesPerBlock];
    private readonly FileStream documents;   // document starts, in a temporary file: there may be hundreds of millions
    private readonly FileStream? learned;   // a bit per token, in a temporary file
    private readonly List<uint> sums = [];
    private int filled;
    private int bits;   // of the token's byte so far

    /// <summary>Creates the file, unreadable until <see cref="Finish"/>. Up to 65,536 ids take 2 bytes per token, more take 4; with
    /// <paramref name="marksLearned"/>, one bit more.</summary>
    public ShardWriter(string path, int vocabularySize, bool marksLearned = false)
    {
        this.vocabularySize = vocabularySize;
        bytesPerToken = vocabularySize <= 1 << 16 ? sizeof(ushort) : sizeof(int);
        stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        stream.Write(new byte[ShardHeader.Size]);
        documents = Temporary(path + ".documents");
        learned = marksLearned ? Temporary(path + ".learned") : null;
    }

    public long Tokens { get; private set; }

    public long Documents { get; private set; }

    public void StartDocument()
    {
        Span<byte> start = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(start, Tokens);
        documents.Write(start);
        Documents++;
    }

    /// <summary>Appends tokens, of which <paramref name="marks"/> says which are learned; all, where it is empty.</summary>
    public void Append(ReadOnlySpan<int> ids, ReadOnlySpan<bool> marks = default)
    {
        foreach (var id in ids)
        {
            if ((uint)id >= (uint)vocabularySize)
                throw new ArgumentOutOfRangeException(nameof(ids), id, $"token ids of this shard are 0 to {vocabularySize - 1}");
            if (bytesPerToken == sizeof(ushort))
                BinaryPrimitives.WriteUInt16LittleEndian(block.AsSpan(filled), (ushort)id);
            else
                BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(filled), id);
            filled += bytesPerToken;
            if (filled == block.Length)
                WriteBlock();
        }
        if (learned is not null)
            for (var i = 0; i < ids.Length; i++)
                Mark(Tokens + i, marks.IsEmpty || marks[i]);
        Tokens += ids.Length;
    }

    public void Finish(string fingerprint)
    {
        if (filled > 0)
            WriteBlock();
        stream.Write(new byte[(8 - (int)(stream.Position % 8)) % 8]);
        var tables = new Crc32(Crc32ParameterSet.Crc32C);
        WriteDocuments(tables);
        WriteSums(tables);
        if (learned is not null)
            WriteLearned(learned, tables);
        stream.Position = 0;
        stream.Write(new ShardHeader(bytesPerToken, Tokens, Documents, vocabularySize, fingerprint, tables.GetCurrentHashAsUInt32(),
            learned is not null).ToBytes());
        stream.Flush(flushToDisk: true);
    }

    public void Dispose()
    {
        documents.Dispose();
        learned?.Dispose();
        stream.Dispose();
    }

    private void WriteBlock()
    {
        var bytes = block.AsSpan(0, filled);
        sums.Add(Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, bytes));
        stream.Write(bytes);
        filled = 0;
    }

    private static FileStream Temporary(string path) => new(
        path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);

    private void Mark(long token, bool isLearned)
    {
        bits |= isLearned ? 1 << (int)(token % 8) : 0;
        if (token % 8 < 7)
            return;
        learned!.WriteByte((byte)bits);
        bits = 0;
    }

    private void WriteDocuments(Crc32 sum) => Copy(documents, sum);

    private void WriteLearned(FileStream marks, Crc32 sum)
    {
        if (Tokens % 8 > 0)
            marks.WriteByte((byte)bits);
        Copy(marks, sum);
    }

    /// <summary>Appends a table from its temporary file; the token block, no longer needed, serves as buffer.</summary>
    private void Copy(FileStream table, Crc32 sum)
    {
        table.Position = 0;
        while (table.ReadAtLeast(block, block.Length, throwOnEndOfStream: false) is > 0 and var read)
        {
            stream.Write(block, 0, read);
            sum.Append(block.AsSpan(0, read));
        }
    }

    private void WriteSums(Crc32 sum)
    {
        var table = new byte[sums.Count * sizeof(uint)];
        for (var i = 0; i < sums.Count; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(i * sizeof(uint)), sums[i]);
        stream.Write(table);
        sum.Append(table);
    }
}
