using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Some tiles of attention of one shape and one mask. A tile is some queries, some keys, and which of the keys each query sees.</summary>
/// <param name="Queries">Rows of the queries, int64 (c, m): c tiles of m queries.</param>
/// <param name="Keys">Rows of the keys, int64 (c, n).</param>
/// <param name="Mask">Float32 (m, n), the same for all c tiles: 0 where visible, else −∞; null where everything is.</param>
/// <param name="Joins">Whether a query of these may also stand in a tile before these. No pair of query and key may stand in two.</param>
public sealed record AttentionTiles(torch.Tensor Queries, torch.Tensor Keys, torch.Tensor? Mask, bool Joins);

/// <summary>What is added to the scaled scores, by distance alone.</summary>
/// <param name="Table">Float32 (H, L): column j is added where query − key = <paramref name="Lowest"/> + j. It may want a gradient.</param>
/// <param name="Lowest">The distance of the first column; distances outside the table take its nearest column.</param>
/// <param name="QueryPositions">Int64 (T)</param>
/// <param name="KeyPositions">Int64 (S)</param>
public sealed record DistanceBias(torch.Tensor Table, long Lowest, torch.Tensor QueryPositions, torch.Tensor KeyPositions);

/// <summary>softmax(scale·q·kᵀ + bias)·v over the pairs that tiles name, and no others: time and memory in proportion to the tiles.</summary>
/// <remarks>Exact, forward and backward; the scores are computed again in the backward pass, not kept. On the CPU in float32 each
/// tile runs in libtorch's flash kernel, unless scores are capped or the bias is learned; there and on other devices in plain matrix
/// products. A query that stands in no tile, or sees nothing, gives 0. There is no second derivative.</remarks>
public static class TileAttention
{
    /// <summary>Attends.</summary>
    /// <param name="query">(B, H, T, D)</param>
    /// <param name="key">(B, G, S, D); H/G consecutive query heads share a key-value head</param>
    /// <param name="value">(B, G, S, D)</param>
    /// <param name="tiles">On the same device</param>
    /// <param name="scale">Multiplies q·kᵀ</param>
    /// <param name="softCap">Bends the scaled scores s to softCap·tanh(s/softCap); 0 leaves them</param>
    /// <param name="documents">Int64 (B, T) and (B, S): where they differ nothing is seen; null for one document</param>
    /// <param name="bias">Added to the scaled and capped scores; null for none</param>
    /// <returns>(B, H, T, D)</returns>
    /// <exception cref="TorchException">The shapes do not fit.</exception>
    public static unsafe torch.Tensor Attend(torch.Tensor query, torch.Tensor key, torch.Tensor value, IReadOnlyList<AttentionTiles> tiles,
        double scale, double softCap = 0, (torch.Tensor Queries, torch.Tensor Keys)? documents = null, DistanceBias? bias = null)
    {
        using TensorPointers queries = new([.. tiles.Select(tile => tile.Queries)]);
        using TensorPointers keys = new([.. tiles.Select(tile => tile.Keys)]);
        using TensorPointers masks = new([.. tiles.Select(tile => tile.Mask)]);
        int[] joins = [.. tiles.Select(tile => tile.Joins ? 1 : 0)];
        fixed (nint* queryList = queries, keyList = keys, maskList = masks)
        fixed (int* joinList = joins)
        {
            return Native.Own(
                tn_tile_attention(
                    query.handle, key.handle, value.handle, queryList, keyList, maskList, joinList, joins.Length, scale, softCap,
                    HandleOf(documents?.Queries), HandleOf(documents?.Keys), HandleOf(bias?.Table), bias?.Lowest ?? 0,
                    HandleOf(bias?.QueryPositions), HandleOf(bias?.KeyPositions), out var result),
                result);
        }
    }

    private static TensorHandle HandleOf(torch.Tensor? tensor) => tensor?.handle ?? TensorHandle.Null;
}
