using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>Rows of a text to read and a text to write, which alternate as documents of the shard.</summary>
internal abstract class PairRows(TokenShard shard) : RowSource<TextPair>
{
    protected TokenShard Shard => shard;

    /// <summary>A whole group, so that mixtures keep pairs of similar length together.</summary>
    protected override int RunLength => PairStream.PairsInGroup;

    public abstract TextPair Fit((long Start, long Length) source, (long Start, long Length) target);

    /// <summary>Pairs by the room they take in a batch, shortest first; stable.</summary>
    public abstract IEnumerable<TextPair> ByLength(IEnumerable<TextPair> pairs);

    protected virtual string? PairError(long source, long target) => null;

    protected virtual bool HasTargets(long source, long target) => true;

    public sealed override RowStream<TextPair> Stream(TokenRange range, long seed)
    {
        var pairs = new DocumentTable(shard, range, inPairs: true);
        if (pairs.Count < 2)
            throw new UserException($"{range.Name} has no pairs of source and target; give more of them");
        Check(range, pairs);
        return new PairStream(range, pairs, this, seed);
    }

    private void Check(TokenRange range, DocumentTable pairs)
    {
        var hasTargets = false;
        for (var pair = 0L; pair < pairs.Count / 2; pair++)
        {
            var (source, target) = (pairs[2 * pair].Length, pairs[2 * pair + 1].Length);
            if (PairError(source, target) is { } error)
                throw new UserException($"{range.Name}, pair {pair + 1:N0}: {error}");
            hasTargets |= HasTargets(source, target);
        }
        if (!hasTargets)
            throw new UserException($"{range.Name} has no pair with a token to predict; give texts to write");
    }

    public sealed override IReadOnlyList<TextPair> ValidationRows(TokenRange range, long count) =>
        [.. ByLength(base.ValidationRows(range, count))];
}

internal readonly record struct TextPair(DocumentPart Source, DocumentPart Target);

/// <summary>Pairs in random order, neighbours of similar length, so that batches need little padding: a block's pairs are sorted by length
/// and divided into groups, which are shuffled. Groups start at multiples of <see cref="PairsInGroup"/> rows of the whole sequence.
/// Incomplete ones hold a block's shortest pairs, where padding is cheapest.</summary>
internal sealed class PairStream(TokenRange range, DocumentTable pairs, PairRows rows, long seed)
    : BlockStream<TextPair>(range.Name, pairs.Count / 2, seed)
{
    /// <summary>A power of two, as batch sizes mostly are.</summary>
    internal const int PairsInGroup = 64;

    protected override TextPair[] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey)
    {
        var all = new TextPair[items.Length];
        for (var i = 0; i < all.Length; i++)
            all[i] = rows.Fit(pairs[2 * items[i]], pairs[2 * items[i] + 1]);
        TextPair[] sorted = [.. rows.ByLength(all)];
        var head = Math.Min(sorted.Length, (int)((PairsInGroup - before % PairsInGroup) % PairsInGroup));
        var tail = (sorted.Length - head) % PairsInGroup;
        var groups = Shuffle([.. sorted[(head + tail)..].Chunk(PairsInGroup)], blockKey);
        return [.. sorted[..head], .. groups.SelectMany(group => group), .. sorted[head..(head + tail)]];
    }
}
