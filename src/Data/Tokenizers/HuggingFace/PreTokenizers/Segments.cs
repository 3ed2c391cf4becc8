using System.Runtime.InteropServices;

namespace Trainer.Data.HuggingFace;

/// <summary>Joins the segments of a text to pieces as a behaviour wants it.</summary>
internal static class Segments
{
    /// <summary>Hands on the pieces of a text that <paramref name="segments"/> cover.</summary>
    public static void Emit(List<Segment> segments, SplitBehavior behavior, ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        foreach (var (start, end, isDelimiter) in CollectionsMarshal.AsSpan(Join(segments, behavior)))
            if (end > start && !(isDelimiter && behavior == SplitBehavior.Removed))
                next.Accept(text[start..end], atStart && start == 0);
    }

    private static List<Segment> Join(List<Segment> segments, SplitBehavior behavior) => behavior switch
    {
        SplitBehavior.MergedWithPrevious => Merge(segments, (segment, previous) => segment && !previous),
        SplitBehavior.Contiguous => Merge(segments, (segment, previous) => segment == previous),
        SplitBehavior.MergedWithNext => MergeWithNext(segments),
        _ => segments,
    };

    private static List<Segment> Merge(List<Segment> segments, Func<bool, bool, bool> joins)
    {
        var merged = new List<Segment>(segments.Count);
        var previous = false;
        foreach (var segment in segments)
        {
            if (joins(segment.IsDelimiter, previous) && merged.Count > 0)
                merged[^1] = merged[^1] with { End = segment.End };
            else
                merged.Add(segment);
            previous = segment.IsDelimiter;
        }
        return merged;
    }

    private static List<Segment> MergeWithNext(List<Segment> segments)
    {
        var merged = new List<Segment>(segments.Count);
        var previous = false;
        for (var i = segments.Count - 1; i >= 0; i--)
        {
            if (segments[i].IsDelimiter && !previous && merged.Count > 0)
                merged[^1] = merged[^1] with { Start = segments[i].Start };
            else
                merged.Add(segments[i]);
            previous = segments[i].IsDelimiter;
        }
        merged.Reverse();
        return merged;
    }
}
