using System.Buffers.Binary;
using System.IO.Hashing;

namespace Trainer.Data;

/// <summary>Writes a shard token by token, in memory that does not grow with it (but for 4 bytes a block of 1 MiB).</summary>
internal sealed class ShardWriter : IDisposable
{
    private readonly FileStream stream;
    private readonly int vocabularySize;
    private readonly int bytesPerToken;
    private readonly byte[] block = new byte[ShardHeader.BytesPerBlock];
    private readonly FileStream documents;   // their starts wait in a file beside the shard: there may be hundreds of millions
    private readonly List<uint> sums = [];
    private int filled;

    /// <summary>Starts a shard.</summary>
    /// <param name="path">The file to create; call <see cref="Finish"/>, or the file stays unreadable.</param>
    /// <param name="vocabularySize">Token ids are below it; 65,536 and fewer take 2 bytes a token, others 4.</param>
    public ShardWriter(string path, int vocabularySize)
    {
        this.vocabularySize = vocabularySize;
        bytesPerToken = vocabularySize <= 1 << 16 ? sizeof(ushort) : sizeof(int);
        stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        stream.Write(new byte[ShardHeader.Size]);
        documents = new FileStream(path + ".documents", FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
    }

    /// <summary>The tokens appended so far.</summary>
    public long Tokens { get; private set; }

    /// <summary>The documents begun so far.</summary>
    public long Documents { get; private set; }

    /// <summary>Begins a document at the next token.</summary>
    public void StartDocument()
    {
        Span<byte> start = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(start, Tokens);
        documents.Write(start);
        Documents++;
    }

    /// <summary>Appends tokens.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id outside the vocabulary.</exception>
    public void Append(ReadOnlySpan<int> ids)
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
        Tokens += ids.Length;
    }

    /// <summary>Completes the file and flushes it to the disk.</summary>
    /// <param name="fingerprint">SHA-256 in hexadecimal of all that the tokens depend on.</param>
    public void Finish(string fingerprint)
    {
        if (filled > 0)
            WriteBlock();
        stream.Write(new byte[(8 - (int)(stream.Position % 8)) % 8]);
        var tables = new Crc32(Crc32ParameterSet.Crc32C);
        WriteDocuments(tables);
        WriteSums(tables);
        stream.Position = 0;
        stream.Write(new ShardHeader(bytesPerToken, Tokens, Documents, vocabularySize, fingerprint, tables.GetCurrentHashAsUInt32()).ToBytes());
        stream.Flush(flushToDisk: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        documents.Dispose();
        stream.Dispose();
    }

    private void WriteBlock()
    {
        var bytes = block.AsSpan(0, filled);
        sums.Add(Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, bytes));
        stream.Write(bytes);
        filled = 0;
    }

    /// <summary>Copies the table of documents behind the tokens; the block, no longer needed, is its buffer.</summary>
    private void WriteDocuments(Crc32 sum)
    {
        documents.Position = 0;
        while (documents.ReadAtLeast(block, block.Length, throwOnEndOfStream: false) is > 0 and var read)
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
