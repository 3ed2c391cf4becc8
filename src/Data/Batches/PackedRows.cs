using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>Rows packed with whole documents; no target crosses a document boundary. Tokens that are not learned are no targets;
/// <paramref name="truncation"/> is for conversations, of which parts without a target are left out; texts beside them are cut into
/// rows.</summary>
internal sealed class PackedRows(TokenShard shard, int contextLength, ConversationTruncation? truncation = null)
    : RowSource<DocumentPart[]>
{
    public const long Padding = -1;

    public override RowStream<DocumentPart[]> Stream(TokenRange range, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        var documents = new DocumentTable(shard, range);
        if (!documents.Any(length => length > 1))
            throw new UserException($"{range.Name} has no document with two tokens or more, so none has a next token to learn; give more "
                + "text, or set data.packing to \"crops\"");
        if (truncation is { } way && !HasTargets(documents, way))
            throw new UserException($"{range.Name} has no conversation with a learned token within model.contextLength ({contextLength}), "
                + $"where data.chat.truncation is \"{way.ToString().ToLowerInvariant()}\"; set contextLength to more, or truncation to "
                + "\"split\"");
        return new PackedStream(
            range, documents, contextLength, seed, truncation is { } cut ? new(shard, contextLength, cut) : null, ShiftsWindows);
    }

    private bool HasTargets(DocumentTable documents, ConversationTruncation way)
    {
        var cut = new ConversationCut(shard, contextLength, way);
        for (var document = 0L; document < documents.Count; document++)
            if (documents[document] is var (start, length) && (cut.IsText(start) ? length > 1 : cut.Parts(start, length).Any()))
                return true;
        return false;
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
        var learned = shard.MarksLearned ? new bool[contextLength] : [];
        for (var row = 0; row < rows.Length; row++)
            for (int number = 0, at = row * contextLength; number < rows[row].Length; at += rows[row][number++].Length)
            {
                var part = rows[row][number];
                shard.Read(part.Start, inputs.AsSpan(at, part.Length));
                var predicted = targets.AsSpan(at, part.EndsDocument ? part.Length - 1 : part.Length);
                shard.Read(part.Start + 1, predicted);
                if (shard.MarksLearned)
                    Ignore(predicted, part.Start + 1, learned);
                ids.AsSpan(at, part.Length).Fill(number);
                for (var i = 0; i < part.Length; i++)
                    positions[at + i] = i;
            }
        return new Batch(inputs, targets, rows.Length, contextLength) { Documents = ids, Positions = positions };
    }

    private void Ignore(Span<long> targets, long start, Span<bool> learned)
    {
        shard.ReadLearned(start, learned[..targets.Length]);
        for (var i = 0; i < targets.Length; i++)
            if (!learned[i])
                targets[i] = Batch.Ignored;
    }
}

/// <summary>Fits conversations into rows; parts without a token to learn are left out.</summary>
internal sealed class ConversationCut(TokenShard shard, int columns, ConversationTruncation way)
{
    /// <summary>Whether the document is a text, all of which is learned.</summary>
    public bool IsText(long start)
    {
        Span<bool> first = [false];
        shard.ReadLearned(start, first);
        return first[0];
    }

    public IEnumerable<DocumentPart> Parts(long start, long length) => All(start, length).Where(part =>
        shard.AnyLearned(part.Start + 1, part.EndsDocument ? part.Length - 1 : part.Length));

    /// <summary>A part that ends at a row's end still predicts the token behind it.</summary>
    private IEnumerable<DocumentPart> All(long start, long length)
    {
        if (length <= columns)
            return [new DocumentPart(start, (int)length, EndsDocument: true)];
        return way switch
        {
            ConversationTruncation.Drop => [],
            ConversationTruncation.Right => [new DocumentPart(start, columns, EndsDocument: false)],
            ConversationTruncation.Left => [new DocumentPart(start + length - columns, columns, EndsDocument: true)],
            _ => Split(start, start + length),
        };
    }

    private IEnumerable<DocumentPart> Split(long start, long end)
    {
        for (; start < end; start += columns)
            yield return new DocumentPart(start, (int)Math.Min(columns, end - start), start + columns >= end);
    }
}

internal readonly record struct DocumentPart(long Start, int Length, bool EndsDocument);

/// <summary>Packs documents into rows, cutting long ones at different places each epoch if it shifts. Within a block the longest part goes
/// first, into the fullest row with room for it (best-fit decreasing), which wastes very little (Ding et al. 2024, arXiv
/// 2404.10830).</summary>
internal sealed class PackedStream(
    TokenRange range, DocumentTable documents, int columns, long seed, ConversationCut? conversations = null, bool shifts = true)
    : BlockStream<DocumentPart[]>(range.Name, documents.Count, seed)
{
    protected override DocumentPart[][] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey)
    {
        var parts = new List<DocumentPart>(items.Length);
        foreach (var document in items)
            Cut(document, epochKey, parts);
        return Shuffle(Pack(parts, columns), blockKey);
    }

    private void Cut(long document, ulong epochKey, List<DocumentPart> parts)
    {
        var (start, length) = documents[document];
        if (conversations is not null && !conversations.IsText(start))
        {
            parts.AddRange(conversations.Parts(start, length));
            return;
        }
        var end = start + length;
        // The first part has a random length, so that cuts fall elsewhere each epoch.
        var part = length <= columns ? length
            : shifts ? 1 + (long)(KeyedPermutation.Mix(epochKey + 5 + (ulong)document) % (ulong)columns)
            : columns;
        for (; start < end; start += part, part = Math.Min(columns, end - start))
            parts.Add(new DocumentPart(start, (int)part, start + part == end));
    }

    internal static List<DocumentPart[]> Pack(IEnumerable<DocumentPart> parts, int columns)
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
