namespace Trainer.Data.Shards;

/// <summary>The documents in a range of a shard. For pairs, whole pairs are found: an empty text begins where the next one does, which must
/// not separate them.</summary>
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

    public long First { get; }

    public long Count { get; }

    /// <summary>The tokens of a document, counted from the first of the range.</summary>
    public (long Start, long Length) this[long document]
    {
        get
        {
            var start = shard.DocumentStart(First + document);
            var next = First + document + 1;
            return (start, (document + 1 < Count ? shard.DocumentStart(next) : end) - start);
        }
    }

    public bool Any(Func<long, bool> length)
    {
        for (var document = 0L; document < Count; document++)
            if (length(this[document].Length))
                return true;
        return false;
    }

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
