// Shapes: B batch, T queries, S keys.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Finds where the documents of rows begin and end.</summary>
internal static class DocumentSpans
{
    /// <summary>The keys [from, to) that each query sees, (B, T, 2), int32; null where a query's keys do not stand side by side.</summary>
    /// <param name="queries">(B, T), int64; null where every query sees every key that is not padding.</param>
    /// <param name="keys">(B, S), int64, on the CPU: negative for padding.</param>
    /// <param name="count">Queries, T.</param>
    public static Tensor? Of(Tensor? queries, Tensor keys, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        int rows = (int)keys.size(0), length = (int)keys.size(1);
        if (queries is not null && (length != count || !ReferenceEquals(queries, keys))) return null; // some keys are remembered
        long[] ids = keys.contiguous().data<long>().ToArray();
        int[] spans = new int[2 * rows * count];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<long> line = ids.AsSpan(row * length, length);
            Span<int> bounds = spans.AsSpan(2 * row * count, 2 * count);
            if (!(queries is null ? WriteFilled(line, bounds) : WriteDocuments(line, bounds))) return null;
        }
        return Constants.Own(() => tensor(spans, [rows, count, 2]));
    }

    private static bool WriteDocuments(ReadOnlySpan<long> ids, Span<int> bounds)
    {
        HashSet<long> seen = [];
        for (int from = 0, to; from < ids.Length; from = to)
        {
            if (!seen.Add(ids[from])) return false;
            for (to = from + 1; to < ids.Length && ids[to] == ids[from];) to++;
            for (int query = from; query < to; query++) (bounds[2 * query], bounds[2 * query + 1]) = (from, to);
        }
        return true;
    }

    // As many for every query.
    private static bool WriteFilled(ReadOnlySpan<long> ids, Span<int> bounds)
    {
        int filled = 0;
        while (filled < ids.Length && ids[filled] >= 0) filled++;
        if (ids[filled..].ContainsAnyInRange(0, long.MaxValue)) return false;
        for (int query = 0; query < bounds.Length / 2; query++) (bounds[2 * query], bounds[2 * query + 1]) = (0, filled);
        return true;
    }
}
