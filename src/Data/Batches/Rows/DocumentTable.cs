namespace Trainer.Data;

/// <summary>The documents of a range of a shard.</summary>
/// <remarks>Where they are pairs, whole pairs are found: a text without tokens begins where the next one does, which must not divide them.</remarks>
internal sealed class DocumentTable
{
    private readonly TokenShard shard;
    private readonly int stride;
    private readonly long end;

    public DocumentTable(TokenShard shard, TokenRange range, bool inPairs = false)
    {
        (this.shard, stride) = (shard, inPairs ? 2 : 1);
        end = range.Start + range.Length;
        First = FirstAt(range.Start);
        Count = FirstAt(end) - First;
    }

    /// <summary>The number, in the shard, of the first document.</summary>
    public long First { get; }

    /// <summary>How many there are.</summary>
    public long Count { get; }

    /// <summary>Where a document's tokens are.</summary>
    /// <param name="document">From 0 to <see cref="Count"/>−1.</param>
    public (long Start, long Length) this[long document]
    {
        get
        {
            var start = shard.DocumentStart(First + document);
            var next = First + document + 1;
            return (start, (document + 1 < Count ? shard.DocumentStart(next) : end) - start);
        }
    }

    /// <summary>Whether a document has such a length.</summary>
    public bool Any(Func<long, bool> length)
    {
        for (var document = 0L; document < Count; document++)
            if (length(this[document].Length))
                return true;
        return false;
    }

    /// <summary>The number of the first document that starts at a token or behind it.</summary>
    private long FirstAt(long token)
    {
        var (low, high) = (0L, shard.DocumentCount / stride);
        while (low < high)
        {
            var middle = low + (high - low) / 2;
            (low, high) = shard.DocumentStart(middle * stride) < token ? (middle + 1, high) : (low, middle);
        }
        return low * stride;
    }
}
