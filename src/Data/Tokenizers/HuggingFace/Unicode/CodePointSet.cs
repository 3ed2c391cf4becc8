namespace Trainer.Data.HuggingFace;

/// <summary>A set of Unicode code points: a bit each in the Basic Multilingual Plane, a test beyond it.</summary>
internal sealed class CodePointSet
{
    private readonly ulong[] bits = new ulong[0x10000 / 64];
    private readonly Func<int, bool> contains;

    public CodePointSet(Func<int, bool> contains)
    {
        this.contains = contains;
        for (var codePoint = 0; codePoint < 0x10000; codePoint++)
            if (contains(codePoint))
                bits[codePoint >> 6] |= 1UL << (codePoint & 63);
    }

    public bool Contains(int codePoint) =>
        codePoint < 0x10000 ? (bits[codePoint >> 6] & (1UL << (codePoint & 63))) != 0 : contains(codePoint);

    /// <summary>The set of sorted, separate ranges.</summary>
    public static CodePointSet Of(IEnumerable<(int First, int Last)> ranges)
    {
        (int First, int Last)[] sorted = [.. ranges];
        var firsts = Array.ConvertAll(sorted, range => range.First);
        return new CodePointSet(codePoint =>
        {
            var at = Array.BinarySearch(firsts, codePoint);
            at = at < 0 ? ~at - 1 : at;
            return at >= 0 && codePoint <= sorted[at].Last;
        });
    }
}
