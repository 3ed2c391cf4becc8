namespace Trainer.Data.Shards;

/// <summary>Consecutive tokens of a shard in a row of a batch.</summary>
/// <param name="Start">The first one, from 0 in the shard.</param>
/// <param name="Length">How many there are.</param>
/// <param name="Column">The column whose target the first one is; null where they are only read, as by an encoder.</param>
public readonly record struct TokenSpan(long Start, int Length, int? Column)
{
    /// <summary>What lies in some columns, counted from the first of these; null for nothing. Tokens that are only read stay.</summary>
    internal TokenSpan? Within(int first, int columns)
    {
        if (Column is not { } column)
            return this;
        var (from, end) = (Math.Max(first, column), Math.Min(first + columns, column + Length));
        return from < end ? new TokenSpan(Start + from - column, end - from, from - first) : null;
    }
}

/// <summary>The part of a span that lies in one document.</summary>
/// <param name="Document">The document, from 0 in the shard.</param>
/// <param name="Tokens">Its tokens there.</param>
public readonly record struct DocumentSpan(long Document, TokenSpan Tokens);

/// <summary>Which documents tokens are of.</summary>
public static class DocumentSpans
{
    /// <summary>Divides a span among the documents that it crosses, in order.</summary>
    public static IReadOnlyList<DocumentSpan> Documents(this TokenShard shard, TokenSpan span)
    {
        List<DocumentSpan> parts = [];
        var (at, end) = (span.Start, span.Start + span.Length);
        for (var document = shard.DocumentAt(at); at < end; document++)
        {
            var next = document + 1 < shard.DocumentCount ? Math.Min(end, shard.DocumentStart(document + 1)) : end;
            if (next == at)
                continue;   // a document without tokens
            parts.Add(new DocumentSpan(document,
                new TokenSpan(at, (int)(next - at), span.Column is { } column ? column + (int)(at - span.Start) : null)));
            at = next;
        }
        return parts;
    }

    /// <summary>The document of a token: the last that starts at or before it.</summary>
    private static long DocumentAt(this TokenShard shard, long token)
    {
        var (low, high) = (0L, shard.DocumentCount - 1);
        while (low < high)
        {
            var middle = low + (high - low + 1) / 2;
            (low, high) = shard.DocumentStart(middle) <= token ? (middle, high) : (low, middle - 1);
        }
        return low;
    }
}
