using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>Rows of two answers to a prompt, each with the prompt before it, neither of which sees the other: documents 0 (chosen) and 1
/// (rejected). An answer that a record does not have is left out; longer ones are cut as conversations are.</summary>
internal sealed class PreferenceRows(TokenShard shard, int contextLength, ConversationTruncation truncation) : RowSource<PreferenceRow>
{
    public override RowStream<PreferenceRow> Stream(TokenRange range, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        var documents = new DocumentTable(shard, range, inPairs: true);
        if (!Enumerable.Range(0, (int)Math.Min(documents.Count / 2, int.MaxValue)).Any(pair => Fit(documents, pair) is not null))
            throw new UserException($"{range.Name} has no preference whose answers have a token within model.contextLength "
                + $"({contextLength}), where data.chat.truncation is \"{truncation.ToString().ToLowerInvariant()}\"; set contextLength to "
                + "more, or truncation to \"left\"");
        return new PreferenceStream(range, documents, this, seed);
    }

    /// <summary>The row of a pair; null where truncation leaves nothing of an answer.</summary>
    public PreferenceRow? Fit(DocumentTable documents, long pair)
    {
        var (chosen, rejected) = (Cut(documents[2 * pair]), Cut(documents[2 * pair + 1]));
        return chosen is null || rejected is null ? null
            : new PreferenceRow((documents.First + 2 * pair) / 2, chosen.Value, rejected.Value);
    }

    /// <summary>The tokens of a document that are read or predicted; none of an empty one, null where none would be learned.</summary>
    private AnswerSpan? Cut((long Start, long Length) document)
    {
        var (start, length) = document;
        if (length == 0)
            return default(AnswerSpan);
        if (length > contextLength + 1)   // the last token is only a target
        {
            if (truncation == ConversationTruncation.Drop)
                return null;
            start += truncation == ConversationTruncation.Left ? length - contextLength - 1 : 0;
            length = contextLength + 1;
        }
        return shard.AnyLearned(start + 1, length - 1) ? new AnswerSpan(start, (int)length) : null;
    }

    public override long Tokens(PreferenceRow row) => row.Columns;

    public override IReadOnlyList<TokenSpan> Spans(PreferenceRow row) =>
    [
        .. new[] { (row.Chosen, At: 0), (row.Rejected, At: row.Chosen.Inputs) }.Where(side => side.Item1.Inputs > 0)
            .Select(side => new TokenSpan(side.Item1.Start + 1, side.Item1.Inputs, side.At)),
    ];

    public override Batch Collate(ReadOnlySpan<PreferenceRow> rows)
    {
        var columns = 1;
        foreach (var row in rows)
            columns = Math.Max(columns, row.Columns);
        var size = rows.Length * columns;
        var (inputs, targets, ids, positions) = (new long[size], new long[size], new long[size], new long[size]);   // each (B, T)
        Array.Fill(targets, Batch.Ignored);
        Array.Fill(ids, PackedRows.Padding);
        var learned = new bool[columns];
        var pairs = new long[rows.Length];
        for (var row = 0; row < rows.Length; row++)
        {
            pairs[row] = rows[row].Pair;
            var at = row * columns;
            foreach (var (answer, id) in new[] { (rows[row].Chosen, 0), (rows[row].Rejected, 1) })
            {
                var length = answer.Inputs;
                if (length == 0)
                    continue;
                shard.Read(answer.Start, inputs.AsSpan(at, length));
                shard.Read(answer.Start + 1, targets.AsSpan(at, length));
                shard.ReadLearned(answer.Start + 1, learned.AsSpan(0, length));
                for (var i = 0; i < length; i++)
                {
                    if (!learned[i])
                        targets[at + i] = Batch.Ignored;
                    (ids[at + i], positions[at + i]) = (id, i);
                }
                at += length;
            }
        }
        return new Batch(inputs, targets, rows.Length, columns)
        {
            Documents = ids,
            Positions = positions,
            PositionLimit = Math.Min(columns, contextLength), // no more than columns: positions are as far apart as they
            Pairs = new PreferencePairs(shard, pairs),
        };
    }
}

/// <summary>The tokens of an answer and its prompt; the last is only a target.</summary>
internal readonly record struct AnswerSpan(long Start, int Length)
{
    public int Inputs => Math.Max(0, Length - 1);
}

/// <summary>A pair of a shard, from 0, of which one answer may be empty.</summary>
internal readonly record struct PreferenceRow(long Pair, AnswerSpan Chosen, AnswerSpan Rejected)
{
    public int Columns => Chosen.Inputs + Rejected.Inputs;
}

/// <summary>Which pair of which shard each row holds, from 0.</summary>
public sealed record PreferencePairs(TokenShard Shard, IReadOnlyList<long> Numbers)
{
    internal PreferencePairs Part(int first, int end) => new(Shard, [.. Numbers.Skip(first).Take(end - first)]);
}

/// <summary>Pairs in random order, neighbours of similar length, so that batches need little padding.</summary>
internal sealed class PreferenceStream(TokenRange range, DocumentTable documents, PreferenceRows rows, long seed)
    : BlockStream<PreferenceRow>(range.Name, documents.Count / 2, seed)
{
    private const int RowsInGroup = 32;

    protected override PreferenceRow[] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey)
    {
        var fitting = new List<PreferenceRow>(items.Length);
        foreach (var pair in items)
            if (rows.Fit(documents, pair) is { } row)
                fitting.Add(row);
        return [.. Shuffle([.. fitting.OrderBy(row => row.Columns).Chunk(RowsInGroup)], blockKey).SelectMany(group => group)];
    }
}
