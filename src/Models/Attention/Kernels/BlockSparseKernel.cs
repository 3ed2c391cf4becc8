// Shapes: B batch, T query positions, S key positions, H query heads, D head dimension; c tiles of a group, m queries and n keys of a tile.
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Computes only visible pairs, in tiles (<see cref="TilePlan"/>): O(T·b) time and memory if a position sees b others.</summary>
/// <remarks>Supports any pattern, bias, soft cap and documents. On the CPU a plain window runs in <see cref="FlashAttention"/> if the
/// processor supports it, tiles in libtorch's flash kernel (<see cref="BlockSparseAttention"/>).</remarks>
internal sealed class BlockSparseKernel : IAttentionKernel
{
    private readonly ReferenceKernel reference = new();

    public string Name => "block-sparse";

    public string? WhyUnsupported(AttentionOptions options, int headDim) => null;

    public string? WhyUnsupported(in AttentionCall call) => call.Dropout.Probability > 0 && !call.IsSimdSupported
        ? $"block-sparse drops attention weights (dropout {call.Dropout.Probability}) only within a window, each document in one " +
            "piece, on a processor with AVX2 or NEON; set dropout to 0, or kernel to 'auto' or 'reference'"
        : null;

    // For a few queries one product is faster than gathering tiles.
    public bool IsPreferred(in AttentionCall call) => call.IsLong;

    // Queries of a batch, one of each sequence, have no tiles in common, and neither has a bias of positions that skip.
    public Tensor Attend(in AttentionCall call) => call.IsSimdSupported ? call.AttendSimd()
        : call.Rows is not null || call.Bias is { SkipsPositions: true } ? reference.Attend(call)
        : BlockSparseAttention.Attend(
        call.Query, call.Key, call.Value, call.Plan().Groups, call.Scale, call.SoftCap ?? 0, DocumentsOf(call),
        call.Bias?.ByDistance(call.Queries, call.Keys, call.Query.device));

    private static (Tensor Queries, Tensor Keys)? DocumentsOf(in AttentionCall call)
    {
        if (call.Documents is not { } documents) return null;
        if (documents.Queries is { } queries) return (queries, documents.Keys);
        // Every query sees all that is not padding.
        Tensor filled = documents.Keys.clamp(max: 0); // (B, S): 0, or −1 for padding
        return (zeros([filled.size(0), call.Queries.Count], ScalarType.Int64, filled.device), filled);
    }
}

/// <summary>A pattern's visible pairs as tiles, each pair in exactly one; a group of equal size and mask is computed at once.</summary>
internal sealed class TilePlan : IDisposable
{
    // Keys that every query of a tile sees, this many times the queries or more, are a tile of their own without a mask:
    // so masks stay small, and tiles that differ only there have the same.
    private const int WideTile = 2;

    private readonly List<AttentionTiles> groups = [];

    private TilePlan()
    {
    }

    public IReadOnlyList<AttentionTiles> Groups => groups;

    public long Pairs => groups.Sum(group => group.Queries.shape[0] * group.Queries.shape[1] * group.Keys.shape[1]); // visible or not

    public static TilePlan Create(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<TileKind, List<(int[] Queries, int[] Keys, Tensor? Mask)>> kinds = [];
        int[] rounds = new int[queries.Count];
        foreach (AttentionPattern part in pattern.Parts)
        foreach (PositionRun rows in Split(part, queries))
        foreach (var tile in TilesOf(part, rows, queries, keys))
        {
            int round = tile.Queries.Max(query => rounds[query]++);
            TileKind kind = new(round, tile.Queries.Length, tile.Keys.Length, tile.Mask is null ? "" : Digest(tile.Mask));
            if (!kinds.TryGetValue(kind, out var alike)) kinds[kind] = alike = [];
            alike.Add(tile);
        }
        TilePlan plan = new();
        foreach (var (kind, tiles) in kinds.OrderBy(entry => entry.Key.Round)) plan.groups.Add(Group(kind, tiles, device));
        return plan;
    }

    public void Dispose()
    {
        foreach (AttentionTiles group in groups)
        {
            group.Queries.Dispose();
            group.Keys.Dispose();
            group.Mask?.Dispose();
        }
        groups.Clear();
    }

    // Tiles of queries start at multiples of their length, wherever decoding is.
    private static IEnumerable<PositionRun> Split(AttentionPattern part, PositionSpan queries)
    {
        int end = queries.End, step = part.QueryStep, reach = part.TileRows * step;
        for (int tile = queries.Start / reach * reach; tile < end; tile += reach)
        for (int phase = 0; phase < step; phase++)
        {
            int first = tile + phase;
            if (first < queries.Start) first += (queries.Start - first + step - 1) / step * step;
            PositionRun run = PositionRun.Until(first, Math.Min(end, tile + reach), step);
            if (run.Count > 0) yield return run;
        }
    }

    private static IEnumerable<(int[] Queries, int[] Keys, Tensor? Mask)> TilesOf(
        AttentionPattern part, PositionRun rows, PositionSpan queries, PositionSpan keys)
    {
        int[] from = Positions(rows), to = [.. part.KeysOf(rows, keys.End).SelectMany(keys.Clip).SelectMany(Positions)];
        if (to.Length == 0) return [];
        Tensor visible = part.Visible(Column(from).unsqueeze(1), Column(to).unsqueeze(0)); // (m, n)
        long[] seen = visible.sum(0, type: ScalarType.Int64).data<long>().ToArray(); // (n)
        int[] whole = Columns(count => count == from.Length), partial = Columns(count => count > 0 && count < from.Length);
        if (partial.Length == 0 || whole.Length > WideTile * from.Length)
            return [.. Tile(whole, masked: false), .. Tile(partial, masked: true)];
        return Tile(Columns(count => count > 0), masked: true);

        int[] Columns(Func<long, bool> wanted) => [.. Enumerable.Range(0, to.Length).Where(column => wanted(seen[column]))];

        IEnumerable<(int[], int[], Tensor?)> Tile(int[] columns, bool masked) => columns.Length == 0 ? [] : [(
            [.. from.Select(queries.RowOf)],
            [.. columns.Select(column => keys.RowOf(to[column]))],
            masked ? visible.index_select(1, Column(columns)) : null)];
    }

    private static AttentionTiles Group(TileKind kind, List<(int[] Queries, int[] Keys, Tensor? Mask)> tiles, Device device) => new(
        Constants.Own(() => Column([.. tiles.SelectMany(tile => tile.Queries)]).view(tiles.Count, kind.Queries).to(device)),
        Constants.Own(() => Column([.. tiles.SelectMany(tile => tile.Keys)]).view(tiles.Count, kind.Keys).to(device)),
        tiles[0].Mask is { } visible ? Constants.Own(() => Additive(visible).to(device)) : null,
        Joins: kind.Round > 0);

    private static Tensor Additive(Tensor visible) =>
        zeros(visible.shape).masked_fill(visible.logical_not(), float.NegativeInfinity); // (m, n)

    private static int[] Positions(PositionRun run) =>
        [.. Enumerable.Range(0, Math.Max(0, run.Count)).Select(index => run.Start + index * run.Step)];

    private static Tensor Column(int[] values) => tensor(Array.ConvertAll(values, value => (long)value));

    private static string Digest(Tensor visible) =>
        Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes<bool>(visible.data<bool>().ToArray())));

    // Within a round no query is in two tiles, so that a group is computed at once.
    private readonly record struct TileKind(int Round, int Queries, int Keys, string Mask);
}
