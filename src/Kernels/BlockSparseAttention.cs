// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, R = H/G query heads that share a key-value head, D width of a head,
// c tiles of a group, m queries of a tile, n keys of a tile. Query heads that share a key-value head stand as further queries of it, (c·B,
// G, R·m, D): keys and values are never repeated.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Tiles of attention of one shape and one mask: some queries, some keys, and which keys are visible to each query.</summary>
/// <param name="Queries">Row indices, int64 (c, m): c tiles of m queries, each at most once.</param>
/// <param name="Keys">Row indices, int64 (c, n).</param>
/// <param name="Mask">float32 (m, n), shared by all c tiles: 0 where visible, else −∞; null where all is visible.</param>
/// <param name="Joins">Whether earlier tiles may hold some of these queries. No pair of query and key may be in two tiles.</param>
public sealed record AttentionTiles(Tensor Queries, Tensor Keys, Tensor? Mask, bool Joins);

/// <summary>A bias added to the scaled scores by distance: column j of the table, float32 (H, L), where query − key = Lowest + j, and the
/// nearest column outside it. Positions are int64, (T) and (S); the table may take a gradient.</summary>
public sealed record DistanceBias(Tensor Table, long Lowest, Tensor QueryPositions, Tensor KeyPositions);

/// <summary>softmax(scale·q·kᵀ + bias)·v over the pairs in given tiles alone: time and memory in proportion to the tiles.</summary>
/// <remarks>Exact, forward and backward. Parts of a softmax are joined by the logarithms of their sums (the online softmax of Dao et al.
/// 2022, arXiv 2205.14135); the backward pass recomputes the scores. The kernel has no second derivative.</remarks>
public static class BlockSparseAttention
{
    // Fewest multiply-adds worth a thread.
    private const long Grain = 1 << 18;

    // What the composed form gathers at a time.
    private const long ChunkBytes = 1 << 24;
    private const double Masked = double.NegativeInfinity;

    /// <summary>Attention of a query (B, H, T, D) to a key (B, G, S, D) and value (B, G, S, E), H/G consecutive query heads to one
    /// key-value head: (B, H, T, E), 0 for a query without visible keys. The tiles' tensors may be disposed of after the call.</summary>
    /// <remarks>Scaled scores s are bounded to softCap·tanh(s/softCap), if that is not 0, before the bias is added. Documents, int64 of
    /// (B, T) and (B, S), hide keys of other documents.</remarks>
    /// <exception cref="TorchException">The shapes do not fit.</exception>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, IReadOnlyList<AttentionTiles> tiles,
        double scale, double softCap = 0, (Tensor Queries, Tensor Keys)? documents = null, DistanceBias? bias = null)
    {
        if (query.dim() != 4 || key.dim() != 4 || value.dim() != 4 || query.size(0) != key.size(0) || query.size(3) != key.size(3)
            || !key.shape.AsSpan(0, 3).SequenceEqual(value.shape.AsSpan(0, 3)) || query.size(1) % key.size(1) != 0)
        {
            throw new TorchException(
                $"query {query.ShapeText}, key {key.ShapeText} and value {value.ShapeText} should be (B, H, T, D), (B, G, S, D) and " +
                "(B, G, S, E) with G dividing H");
        }
        if (!IsSupported(query, key, value, documents, bias)) return Composed(query, key, value, tiles, scale, softCap, documents, bias);
        (Call call, Tensor?[] others) = Prepare(tiles, scale, softCap, documents, bias);
        return KernelFunction.apply(query, key, value, bias?.Table, call, others);
    }

    internal static Tensor Composed(Tensor query, Tensor key, Tensor value, IReadOnlyList<AttentionTiles> tiles,
        double scale, double softCap = 0, (Tensor Queries, Tensor Keys)? documents = null, DistanceBias? bias = null)
    {
        (Call call, Tensor?[] others) = Prepare(tiles, scale, softCap, documents, bias);
        return ComposedFunction.apply(query, key, value, bias?.Table, call, others);
    }

    private static (Call Call, Tensor?[] Others) Prepare(
        IReadOnlyList<AttentionTiles> tiles, double scale, double softCap, (Tensor Queries, Tensor Keys)? documents, DistanceBias? bias) =>
        (new(scale, softCap, bias?.Lowest ?? 0, [.. tiles.Select(group => group.Joins)]),
        [
            documents?.Queries, documents?.Keys, bias?.QueryPositions, bias?.KeyPositions,
            .. tiles.SelectMany(group => (Tensor?[])[group.Queries, group.Keys, group.Mask]),
        ]);

    /// <summary>Whether the kernel runs: float32 or bfloat16 on the CPU, head widths in multiples of 4, at most 2²⁴ documents.</summary>
    internal static bool IsSupported(
        Tensor query, Tensor key, Tensor value, (Tensor Queries, Tensor Keys)? documents = null, DistanceBias? bias = null) =>
        Lanes.IsSupported && Fits(query) && Fits(key) && Fits(value) && key.dtype == query.dtype && value.dtype == query.dtype
        && LanesOf(query.size(3), value.size(3)) > 0
        && (documents is null || (AreFew(documents.Value.Queries) && AreFew(documents.Value.Keys)))
        && (bias is null || bias.Table.dtype == ScalarType.Float32);

    private static bool Fits(Tensor x) =>
        x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16 && x.numel() > 0;

    // float32 tells them apart.
    private static bool AreFew(Tensor documents)
    {
        using Tensor magnitudes = documents.abs(), largest = magnitudes.max();
        return largest.item<long>() < 1 << 24;
    }

    private static int LanesOf(long width, long valueWidth)
    {
        for (int lanes = Lanes.Most; lanes >= 4; lanes /= 2)
            if (width % lanes == 0 && valueWidth % lanes == 0) return lanes;
        return 0;
    }

    /// <summary>Arguments that are not tensors.</summary>
    private sealed record Call(double Scale, double SoftCap, long Lowest, bool[] Joins);

    private static List<AttentionTiles> TilesOf(Call call, ReadOnlySpan<Tensor?> others)
    {
        List<AttentionTiles> tiles = new(call.Joins.Length);
        for (int i = 0; i < call.Joins.Length; i++)
            tiles.Add(new(others[3 * i + 4]!, others[3 * i + 5]!, others[3 * i + 6], call.Joins[i]));
        return tiles;
    }

    /// <summary>A call and its tensors.</summary>
    private sealed class Problem
    {
        private readonly Call call;
        private readonly List<AttentionTiles> tiles;
        private readonly Tensor? queryDocuments, keyDocuments, queryPositions, keyPositions;
        private readonly Tensor? bias; // (H, L)
        private readonly long batch, heads, groups, width, valueWidth;

        public Problem(Call call, Tensor query, Tensor key, Tensor value, Tensor? bias, ReadOnlySpan<Tensor?> others)
        {
            (this.call, Query, Key, Value, this.bias) = (call, query, key, value, bias);
            (queryDocuments, keyDocuments, queryPositions, keyPositions) = (others[0], others[1], others[2], others[3]);
            tiles = TilesOf(call, others);
            (batch, heads, groups, width, valueWidth) = (Query.size(0), Query.size(1), Key.size(1), Query.size(3), Value.size(3));
        }

        private Tensor Query { get; }

        private Tensor Key { get; }

        private Tensor Value { get; }

        private ScalarType SumType => Query.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

        /// <summary>The result (B, H, T, E) and the logarithms of the softmax's sums (B, H, T, 1).</summary>
        public (Tensor Out, Tensor Log) Forward()
        {
            // Laid out as (B, T, H, E), as the residual stream needs heads.
            Tensor result = zeros([batch, Query.size(2), heads, valueWidth], Query.dtype, Query.device).transpose(1, 2);
            Tensor log = full([batch, heads, Query.size(2), 1], Masked, SumType, Query.device);
            foreach ((AttentionTiles group, Chunk chunk) in Chunks())
            {
                Part part = Attend(Queries(Query, chunk), Keys(Key, chunk), Keys(Value, chunk), chunk.Mask);
                if (group.Joins) part = Join(new(Queries(result, chunk), Queries(log, chunk).squeeze(-1)), part);
                TileRows.Put(result, chunk.Queries, Unfold(part.Out, chunk.Queries, heads));
                TileRows.Put(log, chunk.Queries, Unfold(part.Log.unsqueeze(-1), chunk.Queries, heads));
            }
            // Without a visible key a query has the result 0 and no gradient: a finite logarithm makes its weights exp(−∞) = 0.
            return (result, log.masked_fill_(log.eq(Masked), 0));
        }

        public (Tensor Query, Tensor Key, Tensor Value, Tensor? Bias) Backward(
            Tensor outGradient, Tensor result, Tensor log, bool wantsBias)
        {
            Tensor dq = zeros(Query.shape, Query.dtype, Query.device), dk = zeros(Key.shape, Key.dtype, Key.device),
                dv = zeros(Value.shape, Value.dtype, Value.device);
            Tensor? dbias = wantsBias ? zeros(bias!.shape, bias.dtype, bias.device) : null;
            foreach ((_, Chunk chunk) in Chunks())
            {
                Tensor q = Queries(Query, chunk), k = Keys(Key, chunk), v = Keys(Value, chunk), dout = Queries(outGradient, chunk);
                Tensor weights = Scores(q, k, chunk.Mask, out Tensor? slope).sub_(Queries(log, chunk)).exp_(); // (c·B, G, R·m, n)
                Tensor delta = dout.mul(Queries(result, chunk)).to(weights.dtype).sum(-1, keepdim: true); // (c·B, G, R·m, 1)
                Tensor dscores = dout.matmul(v.transpose(2, 3)).to(weights.dtype).sub_(delta).mul_(weights);
                Tensor dproducts = (slope is null ? dscores : dscores.mul(slope)).mul(call.Scale).to(q.dtype);
                TileRows.Add(dq, chunk.Queries, Unfold(dproducts.matmul(k), chunk.Queries, heads));
                TileRows.Add(dk, chunk.Keys, Unfold(dproducts.transpose(2, 3).matmul(q), chunk.Keys, groups));
                TileRows.Add(dv, chunk.Keys, Unfold(weights.to(v.dtype).transpose(2, 3).matmul(dout), chunk.Keys, groups));
                if (dbias is not null) AddBias(dbias, dscores, chunk);
            }
            return (dq, dk, dv, dbias);
        }

        private Part Attend(Tensor q, Tensor k, Tensor v, Tensor? mask)
        {
            Tensor scores = Scores(q, k, mask, out _);
            Tensor log = scores.logsumexp(-1);
            Tensor weights = scores.sub_(log.masked_fill(log.eq(Masked), 0).unsqueeze(-1)).exp_();
            return new(weights.to(v.dtype).matmul(v), log);
        }

        // Capped scores, and the derivative of the cap where there is one.
        private Tensor Scores(Tensor q, Tensor k, Tensor? mask, out Tensor? slope)
        {
            slope = null;
            Tensor scores = q.mul(call.Scale).matmul(k.transpose(2, 3)).to(SumType); // (c·B, G, R·m, n)
            if (call.SoftCap > 0)
            {
                Tensor tanh = scores.div_(call.SoftCap).tanh_();
                slope = tanh.square().neg_().add_(1);
                scores = tanh.mul_(call.SoftCap);
            }
            return mask is null ? scores : scores.add_(mask);
        }

        // Both are averages under a softmax, weighted by their shares of its sum.
        private static Part Join(Part before, Part added)
        {
            Tensor whole = before.Log.logaddexp(added.Log), safe = whole.masked_fill(whole.eq(Masked), 0);
            return new(before.Out.mul(Share(before)).add(added.Out.mul(Share(added))), whole);

            Tensor Share(Part part) => part.Log.sub(safe).exp().unsqueeze(-1).to(part.Out.dtype);
        }

        private void AddBias(Tensor dbias, Tensor dscores, Chunk chunk)
        {
            // (H, c·m·n)
            Tensor byHead = dscores.reshape(chunk.Queries.size(0), batch, heads, chunk.Queries.size(1), chunk.Keys.size(1))
                .sum(1).transpose(0, 1).reshape(heads, -1);
            dbias.scatter_add_(1, chunk.Distance!.reshape(1, -1).expand(heads, -1), byHead.to(dbias.dtype));
        }

        private Tensor Queries(Tensor x, Chunk chunk) => Fold(TileRows.Gather(x, chunk.Queries));

        private Tensor Keys(Tensor x, Chunk chunk) => Fold(TileRows.Gather(x, chunk.Keys));

        // (c, B, H, m, D) → (c·B, G, R·m, D)
        private Tensor Fold(Tensor rows) => rows.view(rows.size(0) * batch, groups, rows.size(2) / groups * rows.size(3), rows.size(4));

        private Tensor Unfold(Tensor rows, Tensor index, long heads) =>
            rows.contiguous().view(index.size(0), batch, heads, index.size(1), rows.size(-1));

        // Each in a dispose scope of its own, so that gathered rows stay small for any T.
        private IEnumerable<(AttentionTiles Group, Chunk Chunk)> Chunks()
        {
            foreach (AttentionTiles group in tiles)
            {
                long count = group.Queries.size(0), step = AtOnce(group);
                for (long begin = 0; begin < count; begin += step)
                {
                    using DisposeScope scope = NewDisposeScope();
                    yield return (group, ChunkOf(group, begin, Math.Min(step, count - begin)));
                }
            }
        }

        private long AtOnce(AttentionTiles group)
        {
            long m = group.Queries.size(1), n = group.Keys.size(1);
            long numbers = heads * m * (2 * width + valueWidth) + groups * n * (2 * width + 2 * valueWidth) + 4 * heads * m * n;
            if (bias is not null || queryDocuments is not null) numbers += heads * m * n;
            return Math.Max(1, ChunkBytes / (4 * batch * Math.Max(1, numbers)));
        }

        private Chunk ChunkOf(AttentionTiles group, long begin, long count)
        {
            Tensor queries = group.Queries.narrow(0, begin, count), keys = group.Keys.narrow(0, begin, count);
            Tensor? mask = group.Mask?.view(1, 1, 1, group.Mask.size(0), group.Mask.size(1)), distance = null; // mask (1|c, 1|B, 1|H, m, n)
            if (bias is not null)
            {
                Tensor from = queryPositions!.index_select(0, queries.reshape(-1)).view(count, -1, 1),
                    to = keyPositions!.index_select(0, keys.reshape(-1)).view(count, 1, -1);
                distance = from.sub(to).sub_(call.Lowest).clamp_(0, bias.size(1) - 1); // (c, m, n)
                Tensor added = bias.index_select(1, distance.reshape(-1)).view(heads, count, queries.size(1), keys.size(1))
                    .transpose(0, 1).unsqueeze(1); // (c, 1, H, m, n)
                mask = mask is null ? added : added.add(mask);
            }
            if (queryDocuments is not null)
            {
                Tensor hidden = Documents(queryDocuments, queries).unsqueeze(3).ne(Documents(keyDocuments!, keys).unsqueeze(2))
                    .unsqueeze(2); // (c, B, 1, m, n)
                mask = (mask ?? zeros([1, 1, 1, 1, 1], SumType, Query.device)).masked_fill(hidden, Masked);
            }
            return new(queries, keys, mask is null ? null : FoldedMask(mask.to(SumType), count), distance);
        }

        // (B, T), (c, m) → (c, B, m)
        private static Tensor Documents(Tensor documents, Tensor index) =>
            documents.index_select(1, index.reshape(-1)).view(documents.size(0), index.size(0), index.size(1)).transpose(0, 1);

        // (1|c, 1|B, 1|H, m, n) → (1|c·B, 1|G, R·m, n)
        private Tensor FoldedMask(Tensor mask, long count)
        {
            long rows = mask.size(3), keys = mask.size(4), sharing = heads / groups;
            bool same = mask.size(0) == 1 && mask.size(1) == 1, byHead = mask.size(2) > 1;
            return mask.expand(same ? 1 : count, same ? 1 : batch, byHead ? heads : sharing, rows, keys)
                .reshape(same ? 1 : count * batch, byHead ? groups : 1, sharing * rows, keys);
        }

        /// <summary>Some tiles of a group as one batch: indices (c, m) and (c, n), what is added to scores (1|c·B, 1|G, R·m, n) or null,
        /// and columns of the bias (c, m, n) or null.</summary>
        private sealed record Chunk(Tensor Queries, Tensor Keys, Tensor? Mask, Tensor? Distance);

        /// <summary>The softmax over some of the keys: (c·B, G, R·m, E), and (c·B, G, R·m), −∞ for a query without visible keys.</summary>
        private readonly record struct Part(Tensor Out, Tensor Log);
    }

    private sealed class ComposedFunction : SingleTensorFunction<ComposedFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            (Call call, Tensor?[] others) = ((Call)vars[4], (Tensor?[])vars[5]);
            (Tensor query, Tensor key, Tensor value, Tensor? bias) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor?)vars[3]);
            (Tensor result, Tensor log) = new Problem(call, query, key, value, bias, others).Forward();
            ctx.save_data("call", call);
            ctx.save_for_backward([query, key, value, bias!, result, log, .. others.Select(other => other!)]);
            return result.MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor?[] saved = [.. ctx.get_saved_variables()];
            Problem problem = new((Call)ctx.get_data("call")!, saved[0]!, saved[1]!, saved[2]!, saved[3], saved.AsSpan(6));
            var (query, key, value, bias) = problem.Backward(grad_output, saved[4]!, saved[5]!, ctx.needs_input_grad(3));
            return [query.MoveToOuterDisposeScope(), key.MoveToOuterDisposeScope(), value.MoveToOuterDisposeScope(),
                bias?.MoveToOuterDisposeScope()!, null!, null!];
        }
    }

    private sealed class KernelFunction : SingleTensorFunction<KernelFunction>
    {
        public override unsafe Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            (Call call, Tensor?[] others) = ((Call)vars[4], (Tensor?[])vars[5]);
            (Tensor query, Tensor key, Tensor value, Tensor? bias) = (
                UnitStride((Tensor)vars[0]), UnitStride((Tensor)vars[1]), UnitStride((Tensor)vars[2]), (Tensor?)vars[3]);
            BlockSparseCall tiles = LoopsCall(call, query, key, value, bias, others);
            Tensor result = SideBySide(query, value.size(3), query.dtype);
            Tensor? log = ctx.Records ? empty([tiles.Batch, tiles.Heads, tiles.Queries], ScalarType.Float32) : null;
            tiles.Out = HeadRows.Of(result);
            tiles.Log = log is null ? null : (float*)log.DataPointer;
            int lanes = LanesOf(query.size(3), value.size(3));
            ParallelFor.Run(tiles.Batch * tiles.Heads, Math.Max(1, Grain / Math.Max(1, tiles.Work)), (begin, end) =>
            {
                if (lanes == 16) BlockSparseLoops<Lanes16>.Forward(tiles, begin, end);
                else if (lanes == 8) BlockSparseLoops<Lanes8>.Forward(tiles, begin, end);
                else BlockSparseLoops<Lanes4>.Forward(tiles, begin, end);
            });
            ctx.save_data("call", call);
            ctx.save_for_backward([query, key, value, bias!, result, log!, .. others.Select(other => other!)]);
            return result.MoveToOuterDisposeScope();
        }

        public override unsafe List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor?[] saved = [.. ctx.get_saved_variables()];
            (Tensor query, Tensor key, Tensor value, Tensor? bias, Tensor gradient) = (
                saved[0]!, saved[1]!, saved[2]!, saved[3], UnitStride(grad_output));
            BlockSparseCall tiles = LoopsCall((Call)ctx.get_data("call")!, query, key, value, bias, saved.AsSpan(6));
            Tensor dq = SideBySide(query, query.size(3), ScalarType.Float32).zero_();
            Tensor dk = SideBySide(key, key.size(3), ScalarType.Float32).zero_();
            Tensor dv = SideBySide(value, value.size(3), ScalarType.Float32).zero_();
            Tensor? dbias = ctx.needs_input_grad(3) ? zeros([tiles.Batch, tiles.Heads, tiles.BiasLength], ScalarType.Float64) : null;
            (tiles.Out, tiles.OutGradient) = (HeadRows.Of(saved[4]!), HeadRows.Of(gradient));
            tiles.Log = (float*)saved[5]!.DataPointer;
            tiles.QueryGradient = (float*)dq.DataPointer;
            tiles.KeyGradient = (float*)dk.DataPointer;
            tiles.ValueGradient = (float*)dv.DataPointer;
            tiles.BiasGradient = dbias is null ? null : (double*)dbias.DataPointer;
            int lanes = LanesOf(query.size(3), value.size(3));
            ParallelFor.Run(tiles.Batch * tiles.Groups, Math.Max(1, Grain / Math.Max(1, tiles.Work)), (begin, end) =>
            {
                if (lanes == 16) BlockSparseLoops<Lanes16>.Backward(tiles, begin, end);
                else if (lanes == 8) BlockSparseLoops<Lanes8>.Backward(tiles, begin, end);
                else BlockSparseLoops<Lanes4>.Backward(tiles, begin, end);
            });
            Tensor?[] gradients =
                [dq.to(query.dtype), dk.to(query.dtype), dv.to(query.dtype), dbias?.sum([0]).to(ScalarType.Float32), null, null];
            return [.. gradients.Select(made => made?.MoveToOuterDisposeScope()!)];
        }

        private static BlockSparseCall LoopsCall(
            Call call, Tensor query, Tensor key, Tensor value, Tensor? bias, ReadOnlySpan<Tensor?> others) => BlockSparseCall.Create(
                query, key, value, TilesOf(call, others), call.Scale, call.SoftCap, others[0] is null ? null : (others[0]!, others[1]!),
                bias is null ? null : new(bias, call.Lowest, others[2]!, others[3]!));

        private static Tensor UnitStride(Tensor heads) => heads.stride(3) == 1 ? heads.alias() : heads.contiguous();

        // (B, N, T, D), laid out as (B, T, N, D), as the residual stream needs heads.
        private static Tensor SideBySide(Tensor like, long width, ScalarType type) =>
            empty([like.size(0), like.size(2), like.size(1), width], type).transpose(1, 2);
    }
}
