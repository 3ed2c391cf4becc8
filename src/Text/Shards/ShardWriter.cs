using System.Buffers.Binary;

namespace Trainer.Text;

/// <summary>Writes a shard token by token, in memory that does not grow with it (but for 8 bytes a document).</summary>
internal sealed class ShardWriter : IDisposable
{
    private readonly FileStream stream;
    private readonly int vocabularySize;
    private readonly int bytesPerToken;
    private readonly byte[] block = new byte[ShardHeader.BytesPerBlock];
    private readonly List<long> documents = [];
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
    }

    /// <summary>The tokens appended so far.</summary>
    public long Tokens { get; private set; }

    /// <summary>The documents begun so far.</summary>
    public int Documents => documents.Count;

    /// <summary>Begins a document at the next token.</summary>
    public void StartDocument() => documents.Add(Tokens);

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
        var tables = Tables();
        stream.Write(tables);
        stream.Position = 0;
        stream.Write(new ShardHeader(bytesPerToken, Tokens, documents.Count, vocabularySize, fingerprint, Crc32C.Append(0, tables)).ToBytes());
        stream.Flush(flushToDisk: true);
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    private void WriteBlock()
    {
        var bytes = block.AsSpan(0, filled);
        sums.Add(Crc32C.Append(0, bytes));
        stream.Write(bytes);
        filled = 0;
    }

    private byte[] Tables()
    {
        var tables = new byte[documents.Count * sizeof(long) + sums.Count * sizeof(uint)];
        var rest = tables.AsSpan();
        foreach (var document in documents)
        {
            BinaryPrimitives.WriteInt64LittleEndian(rest, document);
            rest = rest[sizeof(long)..];
        }
        foreach (var sum in sums)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rest, sum);
            rest = rest[sizeof(uint)..];
        }
        return tables;
    }
}
