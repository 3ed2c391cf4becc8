// Shapes: B batch, T query positions, S key positions.
using TorchSharp;
using Trainer.Models.Attention.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The documents of queries (B, T) and keys (B, S), int64, which it owns; a query sees only keys of its own document.</summary>
/// <remarks>Padding has the id −1 and sees padding, so that no row of a softmax is empty.</remarks>
internal sealed class DocumentIds(Tensor? queries, Tensor keys) : IDisposable
{
    private readonly Dictionary<Tensor, Tensor> masks = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<Tensor, Tensor> additive = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<int, Tensor?> spans = [];
    private Tensor? together;

    /// <summary>Null if every query sees every key that is not padding (cross-attention).</summary>
    public Tensor? Queries => queries;

    public Tensor Keys => keys;

    /// <summary>True where query and key are of one document: (B, 1, T, S), or (B, 1, 1, S) without <see cref="Queries"/>.</summary>
    public Tensor Together => together ??= Constants.Own(() => Compare().unsqueeze(1));

    /// <summary><see cref="Together"/> and a pattern's mask, (T, S) → (B, 1, T, S), made once for each mask.</summary>
    public Tensor Within(Tensor pattern)
    {
        if (!masks.TryGetValue(pattern, out Tensor? mask)) masks[pattern] = mask = Constants.Own(() => Together.logical_and(pattern));
        return mask;
    }

    /// <summary><see cref="Together"/> or one of <see cref="Within"/> as it is added to scores, which have the same type in all layers.
    /// </summary>
    public Tensor Additive(Tensor mask, ScalarType type)
    {
        if (!additive.TryGetValue(mask, out Tensor? made)) additive[mask] = made = ScoreMask.Of(mask, type);
        return made;
    }

    /// <summary>The keys [from, to) each query sees, (B, T, 2), int32; null if a document is in pieces, or not on the CPU.</summary>
    public Tensor? Spans(int count)
    {
        if (!spans.TryGetValue(count, out Tensor? found))
            spans[count] = found = keys.device_type == DeviceType.CPU ? DocumentSpans.Of(queries, keys, count) : null;
        return found;
    }

    /// <summary>Numbers the documents of each row in order, from 0: (B, T), int64; null if each row is one document.</summary>
    public static Tensor? Runs(DocumentIds? documents)
    {
        if (documents?.Queries is not { } ids) return null;
        long length = ids.size(1);
        Tensor changes = ids.narrow(1, 1, length - 1).ne(ids.narrow(1, 0, length - 1)); // (B, T−1)
        return cat([zeros([ids.size(0), 1], ScalarType.Int64, ids.device), changes.cumsum(1)], 1);
    }

    public void Dispose()
    {
        queries?.Dispose();
        keys.Dispose();
        together?.Dispose();
        foreach (Tensor mask in masks.Values.Concat(additive.Values)) mask.Dispose();
        foreach (Tensor? found in spans.Values) found?.Dispose();
    }

    private Tensor Compare() => queries is null
        ? keys.ge(0).unsqueeze(1) // (B, 1, S)
        : queries.unsqueeze(2).eq(keys.unsqueeze(1)); // (B, T, S)
}

internal static class DocumentSpans
{
    /// <summary>The keys [from, to) that each query sees, (B, T, 2), int32; null if they are not contiguous.</summary>
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

    // The same for every query.
    private static bool WriteFilled(ReadOnlySpan<long> ids, Span<int> bounds)
    {
        int filled = 0;
        while (filled < ids.Length && ids[filled] >= 0) filled++;
        if (ids[filled..].ContainsAnyInRange(0, long.MaxValue)) return false;
        for (int query = 0; query < bounds.Length / 2; query++) (bounds[2 * query], bounds[2 * query + 1]) = (0, filled);
        return true;
    }
}
