using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>A text to read and the text to write, the only one scored. Padding is on the right, where causal decoders never look.</summary>
internal sealed class PromptRows(TokenShard shard, int contextLength, int? endToken) : PairRows(shard)
{
    private int Ends => endToken is null ? 0 : 1;

    /// <summary>Truncates the end of the target, and with it the end token.</summary>
    public override TextPair Fit((long Start, long Length) source, (long Start, long Length) target)
    {
        var room = contextLength + 1 - source.Length;   // the last token is only a target
        return new TextPair(
            new DocumentPart(source.Start, (int)source.Length, EndsDocument: true),
            new DocumentPart(target.Start, (int)Math.Min(target.Length, room), EndsDocument: target.Length + Ends <= room));
    }

    public override IEnumerable<TextPair> ByLength(IEnumerable<TextPair> pairs) => pairs.OrderBy(Columns);

    public override long Tokens(TextPair row) => Columns(row);

    public override IReadOnlyList<TokenSpan> Spans(TextPair row)
    {
        // The first token of all is none's target.
        var (source, target) = row;
        return source.Length > 0
            ? [new(source.Start, source.Length, null), new(target.Start, target.Length, source.Length - 1)]
            : [new(target.Start + 1, Math.Max(0, target.Length - 1), 0)];
    }

    public override Batch Collate(ReadOnlySpan<TextPair> rows)
    {
        var columns = 1;
        foreach (var row in rows)
            columns = Math.Max(columns, Columns(row));
        var inputs = new long[rows.Length * columns];    // (B, T)
        var targets = new long[rows.Length * columns];   // (B, T)
        Array.Fill(targets, Batch.Ignored);
        var lengths = new int[rows.Length];
        var tokens = new long[columns + 1];
        for (var row = 0; row < rows.Length; row++)
        {
            var (source, target) = rows[row];
            Shard.Read(source.Start, tokens.AsSpan(0, source.Length));
            Shard.Read(target.Start, tokens.AsSpan(source.Length, target.Length));
            if (target.EndsDocument && endToken is { } end)
                tokens[source.Length + target.Length] = end;
            var length = lengths[row] = Columns(rows[row]);
            tokens.AsSpan(0, length).CopyTo(inputs.AsSpan(row * columns));
            var first = Math.Min(length, Math.Max(0, source.Length - 1));   // the first position that predicts the target
            tokens.AsSpan(first + 1, length - first).CopyTo(targets.AsSpan(row * columns + first));
        }
        return new Batch(inputs, targets, rows.Length, columns) { Lengths = lengths };
    }

    protected override string? PairError(long source, long target) =>
        source > contextLength
            ? $"the text to read has {source:N0} tokens, so that model.contextLength ({contextLength}) leaves no room for the text to "
                + $"write; set it to {source} or more, or leave such pairs out"
        : PrefixLength > 1 && source + target + Ends <= PrefixLength
            ? $"it has {source + target + Ends:N0} tokens, all within the {PrefixLength:N0} that attention pattern 'prefix' reads "
                + "together, so that none is left to predict; set prefixLength to less than "
                + $"{source + target + Ends}, or leave such pairs out"
        : null;

    protected override bool HasTargets(long source, long target) => target + Ends > 0 && source + target + Ends > 1;

    private int Columns(TextPair row) => Math.Max(0, row.Source.Length + row.Target.Length + (row.Target.EndsDocument ? Ends : 0) - 1);
}
