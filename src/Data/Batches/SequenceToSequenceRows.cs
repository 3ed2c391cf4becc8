using Trainer.Configuration;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Batches;

/// <summary>The decoder's input is the target shifted right behind a begin token (teacher forcing); it learns to emit the end token. Both
/// sides are padded to their longest row.</summary>
internal sealed class SequenceToSequenceRows(TokenShard shard, int contextLength, SequenceTokens tokens) : PairRows(shard)
{
    private readonly int room = Room(contextLength, tokens.Before.Count);

    /// <summary>Truncated texts lose their end token.</summary>
    public override TextPair Fit((long Start, long Length) source, (long Start, long Length) target) => new(Part(source), Part(target));

    public override IEnumerable<TextPair> ByLength(IEnumerable<TextPair> pairs) =>
        pairs.OrderBy(pair => pair.Target.Length).ThenBy(pair => pair.Source.Length);

    public override long Tokens(TextPair row) => Filled(row.Source) + Filled(row.Target);

    public override IReadOnlyList<TokenSpan> Spans(TextPair row) =>
        [new(row.Source.Start, row.Source.Length, null), new(row.Target.Start, row.Target.Length, tokens.Before.Count)];

    public override Batch Collate(ReadOnlySpan<TextPair> rows)
    {
        var (columns, sourceColumns) = (0, 0);
        foreach (var (source, target) in rows)
            (columns, sourceColumns) = (Math.Max(columns, Filled(target)), Math.Max(sourceColumns, Filled(source)));
        var inputs = new long[rows.Length * columns];           // (B, T)
        var targets = new long[rows.Length * columns];          // (B, T)
        var sources = new long[rows.Length * sourceColumns];    // (B, S)
        var lengths = new int[rows.Length];
        var sourceLengths = new int[rows.Length];
        Array.Fill(targets, Batch.Ignored);
        for (var row = 0; row < rows.Length; row++)
        {
            sourceLengths[row] = Read(rows[row].Source, sources.AsSpan(row * sourceColumns, sourceColumns));
            var target = targets.AsSpan(row * columns, columns);
            var length = lengths[row] = Read(rows[row].Target, target);
            inputs[row * columns] = tokens.Begin;
            target[..(length - 1)].CopyTo(inputs.AsSpan(row * columns + 1));
        }
        return new Batch(inputs, targets, rows.Length, columns)
        {
            Lengths = lengths,
            Source = new SourceRows(sources, sourceLengths, sourceColumns),
        };
    }

    private static int Room(int contextLength, int before) => contextLength > before
        ? contextLength - before
        : throw new UserException($"model.contextLength ({contextLength}) leaves no room for a text behind the special tokens that the "
            + $"tokenizer puts before it ({before}) with data.decoderStartToken; set contextLength to {before + 1} or more");

    private DocumentPart Part((long Start, long Length) text) =>
        new(text.Start, (int)Math.Min(text.Length, room), EndsDocument: text.Length < room);

    private int Read(DocumentPart part, Span<long> row)
    {
        var before = tokens.Before.Count;
        for (var i = 0; i < before; i++)
            row[i] = tokens.Before[i];
        Shard.Read(part.Start, row.Slice(before, part.Length));
        if (part.EndsDocument)
            row[before + part.Length] = tokens.End;
        return Filled(part);
    }

    private int Filled(DocumentPart part) => tokens.Before.Count + part.Length + (part.EndsDocument ? 1 : 0);
}
