namespace Trainer.Data;

/// <summary>A pair of texts, each as it is put into a row.</summary>
/// <param name="Source">The text that is read.</param>
/// <param name="Target">The text that is written.</param>
internal readonly record struct TextPair(DocumentPart Source, DocumentPart Target);

/// <summary>Pairs of texts in random order, neighbours of about equal length, so that batches need little padding.</summary>
/// <remarks>Each epoch visits every pair once. The pairs of a block are sorted by length and divided into groups, and the groups
/// are shuffled. Groups begin at multiples of <see cref="PairsInGroup"/> rows of the whole sequence, so that batches of as many, or of
/// any power of two below, hold pairs of one length or nearly. What fills no group, at the ends of a block, are the shortest pairs,
/// where padding costs least.</remarks>
/// <param name="range">The tokens, for messages.</param>
/// <param name="pairs">The pairs: source and target documents by turns.</param>
/// <param name="kind">How a pair is put into a row.</param>
/// <param name="seed">Chooses the sequence.</param>
internal sealed class PairStream(TokenRange range, DocumentTable pairs, PairKind kind, long seed)
    : BlockStream<TextPair>(range.Name, pairs.Count / 2, seed)
{
    /// <summary>A power of two, since batches mostly are.</summary>
    internal const int PairsInGroup = 64;

    protected override TextPair[] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey)
    {
        var all = new TextPair[items.Length];
        for (var i = 0; i < all.Length; i++)
            all[i] = kind.Fit(pairs[2 * items[i]], pairs[2 * items[i] + 1]);
        TextPair[] sorted = [.. kind.ByLength(all)];
        var head = Math.Min(sorted.Length, (int)((PairsInGroup - before % PairsInGroup) % PairsInGroup));
        var tail = (sorted.Length - head) % PairsInGroup;
        var groups = Shuffle([.. sorted[(head + tail)..].Chunk(PairsInGroup)], blockKey);
        return [.. sorted[..head], .. groups.SelectMany(group => group), .. sorted[head..(head + tail)]];
    }
}
