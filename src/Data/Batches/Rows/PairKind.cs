using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Rows that are made of pairs: a text to read and one to write.</summary>
internal abstract class PairKind(TokenShard shard) : RowSource<TextPair>
{
    /// <summary>Where the tokens are: source and target documents by turns.</summary>
    protected TokenShard Shard => shard;

    /// <summary>A whole group, so that sources that are mixed keep pairs of one length together.</summary>
    protected override int RowsOfTurn => PairStream.PairsInGroup;

    /// <summary>What of a pair is put into a row.</summary>
    /// <param name="source">The tokens of the text that is read.</param>
    /// <param name="target">The tokens of the text that is written.</param>
    public abstract TextPair Fit((long Start, long Length) source, (long Start, long Length) target);

    /// <summary>Pairs in the order of the room that they take in a batch, least first; equal ones in the order in which they come.</summary>
    public abstract IEnumerable<TextPair> ByLength(IEnumerable<TextPair> pairs);

    /// <summary>What is wrong with a pair of a range that it cannot be put into a row, or null.</summary>
    protected virtual string? Complaint(long source, long target) => null;

    /// <summary>Whether there is anything to predict in a pair.</summary>
    protected virtual bool Teaches(long source, long target) => true;

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
        var teaches = false;
        for (var pair = 0L; pair < pairs.Count / 2; pair++)
        {
            var (source, target) = (pairs[2 * pair].Length, pairs[2 * pair + 1].Length);
            if (Complaint(source, target) is { } complaint)
                throw new UserException($"{range.Name}, pair {pair + 1:N0}: {complaint}");
            teaches |= Teaches(source, target);
        }
        if (!teaches)
            throw new UserException($"{range.Name} has no pair with a token to predict; give texts to write");
    }

    /// <summary>Pairs of all lengths, the short ones first.</summary>
    public sealed override IReadOnlyList<TextPair> Fixed(TokenRange range, long count) => [.. ByLength(base.Fixed(range, count))];
}
