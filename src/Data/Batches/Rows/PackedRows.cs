using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Rows of whole documents with their boundaries: no target reaches into another document.</summary>
internal sealed class PackedRows(TokenShard shard, int contextLength) : RowSource<DocumentPart[]>
{
    /// <summary>The document at places that no document fills.</summary>
    public const long Padding = -1;

    public override RowStream<DocumentPart[]> Stream(TokenRange range, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        var documents = new DocumentTable(shard, range);
        if (!documents.Any(length => length > 1))
            throw new UserException($"{range.Name} has no document with two tokens or more, so none has a next token to learn; give more text, or set data.packing to \"crops\"");
        return new PackedStream(range, documents, contextLength, seed);
    }

    public override long Tokens(DocumentPart[] row) => row.Sum(part => (long)part.Length);

    public override Batch Collate(ReadOnlySpan<DocumentPart[]> rows)
    {
        var size = rows.Length * contextLength;
        var (inputs, targets, ids, positions) = (new long[size], new long[size], new long[size], new long[size]);   // each (B, T)
        Array.Fill(targets, Batch.Ignored);
        Array.Fill(ids, Padding);
        for (var row = 0; row < rows.Length; row++)
            for (int number = 0, at = row * contextLength; number < rows[row].Length; at += rows[row][number++].Length)
            {
                var part = rows[row][number];
                shard.Read(part.Start, inputs.AsSpan(at, part.Length));
                shard.Read(part.Start + 1, targets.AsSpan(at, part.EndsDocument ? part.Length - 1 : part.Length));
                ids.AsSpan(at, part.Length).Fill(number);
                for (var i = 0; i < part.Length; i++)
                    positions[at + i] = i;
            }
        return new Batch(inputs, targets, rows.Length, contextLength) { Documents = ids, Positions = positions };
    }
}
