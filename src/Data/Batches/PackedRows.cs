using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>Rows packed with whole documents; no target crosses a document boundary.</summary>
internal sealed class PackedRows(TokenShard shard, int contextLength) : RowSource<DocumentPart[]>
{
    public const long Padding = -1;

    public override RowStream<DocumentPart[]> Stream(TokenRange range, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        var documents = new DocumentTable(shard, range);
        if (!documents.Any(length => length > 1))
            throw new UserException($"{range.Name} has no document with two tokens or more, so none has a next token to learn; give more "
                + "text, or set data.packing to \"crops\"");
        return new PackedStream(range, documents, contextLength, seed);
    }

    public override long Tokens(DocumentPart[] row) => row.Sum(part => (long)part.Length);

    public override IReadOnlyList<TokenSpan> Spans(DocumentPart[] row)
    {
        var spans = new List<TokenSpan>(row.Length);
        var at = 0;
        foreach (var part in row)
        {
            spans.Add(new(part.Start + 1, part.EndsDocument ? part.Length - 1 : part.Length, at));
            at += part.Length;
        }
        return [.. spans.Where(span => span.Length > 0)];
    }

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

internal readonly record struct DocumentPart(long Start, int Length, bool EndsDocument);

/// <summary>Packs documents into rows, cutting long ones at different places each epoch. Within a block the longest part goes first, into
/// the fullest row with room for it (best-fit decreasing), which wastes very little (Ding et al. 2024, arXiv 2404.10830).</summary>
internal sealed class PackedStream(TokenRange range, DocumentTable documents, int columns, long seed)
    : BlockStream<DocumentPart[]>(range.Name, documents.Count, seed)
{
    protected override DocumentPart[][] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey)
    {
        var parts = new List<DocumentPart>(items.Length);
        foreach (var document in items)
            Cut(document, epochKey, parts);
        return Shuffle(Pack(parts), blockKey);
    }

    private void Cut(long document, ulong epochKey, List<DocumentPart> parts)
    {
        var (start, length) = documents[document];
        var end = start + length;
        // The first part has a random length, so that cuts fall elsewhere each epoch.
        var part = length <= columns ? length : 1 + (long)(KeyedPermutation.Mix(epochKey + 5 + (ulong)document) % (ulong)columns);
        for (; start < end; start += part, part = Math.Min(columns, end - start))
            parts.Add(new DocumentPart(start, (int)part, start + part == end));
    }

    private List<DocumentPart[]> Pack(List<DocumentPart> parts)
    {
        var rows = new List<List<DocumentPart>>();
        var open = new SortedSet<(int Room, int Row)>();
        foreach (var part in parts.OrderByDescending(part => part.Length))   // stable: equal lengths stay shuffled
        {
            var (room, row) = Fullest(open, part.Length);
            if (row < 0)
            {
                (room, row) = (columns, rows.Count);
                rows.Add([]);
            }
            open.Remove((room, row));
            rows[row].Add(part);
            if (room > part.Length)
                open.Add((room - part.Length, row));
        }
        return [.. rows.Select(row => row.ToArray())];
    }

    /// <summary>The row with the least sufficient room; −1 if there is none.</summary>
    private static (int Room, int Row) Fullest(SortedSet<(int Room, int Row)> open, int length)
    {
        foreach (var row in open.GetViewBetween((length, 0), (int.MaxValue, int.MaxValue)))
            return row;
        return (0, -1);
    }
}
