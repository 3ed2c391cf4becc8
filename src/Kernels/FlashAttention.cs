// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a head.
using System.Runtime.Intrinsics.Arm;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>softmax(scale·q·kᵀ)·v where key j is visible to query i if i − before &lt; j ≤ i + after: full, causal or sliding-window
/// attention.</summary>
/// <remarks>Where <see cref="IsSupported(Tensor, Tensor, Tensor)"/>, hidden scores are never computed and nothing of their size is kept
/// (Dao et al. 2022, arXiv 2205.14135); bfloat16 is computed in float32. Elsewhere it is libtorch's operators. Thread-safe, with the same
/// bits for any number of threads and for a batch cut into parts. The kernel has no second derivative.</remarks>
public static unsafe class FlashAttention
{
    /// <summary>As <c>before</c> or <c>after</c>: all keys.</summary>
    public const long Unbounded = 1L << 40;

    private const long WidestHead = 256;

    // Fewest multiply-adds worth a thread.
    private const long Grain = 1 << 18;

    /// <summary>Whether the kernel runs: on the CPU, keys shaped like values, and heads that suit the processor.</summary>
    public static bool IsSupported(Tensor query, Tensor key, Tensor value) =>
        Fits(query) && Fits(key) && Fits(value) && key.dtype == query.dtype && value.dtype == query.dtype
        && IsSupported(query.size(3), query.dtype) && key.shape.AsSpan().SequenceEqual(value.shape)
        && query.size(0) == key.size(0) && query.size(3) == key.size(3) && query.size(1) % key.size(1) == 0;

    /// <summary>Whether the kernel runs for heads on the CPU: width up to 256, a multiple of 8 (4 on ARM), float32 or bfloat16.</summary>
    public static bool IsSupported(long headWidth, ScalarType type) =>
        type is ScalarType.Float32 or ScalarType.BFloat16 && headWidth is > 0 and <= WidestHead && LanesOf(headWidth) > 0;

    /// <summary>Attention of a query (B, H, T, D) to key and value (B, G, S, D), H/G consecutive query heads to one key-value head: the
    /// shape of the query, with the heads of a token adjacent in memory, and 0 where no key is visible.</summary>
    /// <remarks>A query sees <c>before</c> ≥ 1 keys up to its own, which is included, and <c>after</c> later ones; with documents, int32 of
    /// (B, T, 2), only those in its document's range [from, to). Dropout applies to the weights.</remarks>
    /// <exception cref="TorchException">The shapes do not fit, or the band hides a query's own key.</exception>
    public static Tensor Attend(
        Tensor query, Tensor key, Tensor value, double scale, long before = Unbounded, long after = 0,
        CounterDropout dropout = default, Tensor? documents = null)
    {
        if (query.dim() != 4 || key.dim() != 4 || value.dim() != 4 || query.size(0) != key.size(0) || query.size(3) != key.size(3)
            || !key.shape.AsSpan(0, 3).SequenceEqual(value.shape.AsSpan(0, 3)) || key.size(1) == 0 || query.size(1) % key.size(1) != 0)
        {
            throw new TorchException(
                $"query {query.ShapeText}, key {key.ShapeText} and value {value.ShapeText} should be (B, H, T, D), (B, G, S, D) and " +
                "(B, G, S, D) with G dividing H");
        }
        Options options = new(scale, before, after, dropout, documents, null, 0);
        options.Check(query.size(0), query.size(2));
        return IsSupported(query, key, value) ? AttendFunction.apply(query, key, value, options) : Composed(query, key, value, options);
    }

    /// <summary>Self-attention straight from a fused projection (B, T, H + 2·G, D) = [H queries | G keys | G values], without splitting or
    /// copying it, forward or backward: (B, T, H, D). Queries and keys are rotated first where <c>rotary</c> says how; all else is as in
    /// <see cref="Attend"/>.</summary>
    /// <exception cref="TorchException">The shapes do not fit, or the band hides a query's own key.</exception>
    public static Tensor AttendPacked(
        Tensor packed, long groups, double scale, long before = Unbounded, long after = 0, RotaryAngles? rotary = null,
        CounterDropout dropout = default, Tensor? documents = null)
    {
        if (packed.dim() != 4 || groups < 1 || packed.size(2) <= 2 * groups || packed.size(2) % groups != 0)
            throw new TorchException($"{packed.ShapeText} with {groups} heads of keys should be (B, T, H + 2·G, D) with G dividing H");
        Options options = new(scale, before, after, dropout, documents, rotary, groups);
        options.Check(packed.size(0), packed.size(1));
        options.CheckAngles(packed);
        return Fits(packed) && IsSupported(packed.size(3), packed.dtype)
            ? AttendPackedFunction.apply(packed, options)
            : ComposedPacked(packed, options);
    }

    internal static Tensor Composed(Tensor query, Tensor key, Tensor value, Options options)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType type = query.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        long batch = query.size(0), heads = query.size(1), groups = key.size(1), queries = query.size(2), keys = key.size(2);
        Tensor shared = query.to(type).reshape(batch, groups, heads / groups, queries, query.size(3)); // (B, G, H/G, T, D)
        Tensor scores = shared.matmul(key.to(type).unsqueeze(2).transpose(3, 4)).mul(options.Scale).reshape(batch, heads, queries, keys);
        if (options.Hidden(queries, keys, query.device) is { } hidden)
        {
            Tensor empty = hidden.all(-1, keepdim: true); // (1|B, 1, T, 1): rows without a visible key, whose softmax would be NaN
            scores = scores.masked_fill(hidden.logical_and(empty.logical_not()), double.NegativeInfinity);
            scores = scores.softmax(-1).masked_fill(empty, 0);
        }
        else
        {
            scores = scores.softmax(-1);
        }
        if (options.Dropout.Probability > 0) scores = CounterDropout.Apply(scores, options.Dropout);
        Tensor weights = scores.reshape(batch, groups, heads / groups, queries, keys);
        Tensor result = weights.matmul(value.to(type).unsqueeze(2)); // (B, G, H/G, T, D)
        return result.reshape(batch, heads, queries, value.size(3)).to(query.dtype).MoveToOuterDisposeScope();
    }

    internal static Tensor ComposedPacked(Tensor packed, Options options)
    {
        using DisposeScope scope = NewDisposeScope();
        long groups = options.Groups, heads = packed.size(2) - 2 * groups;
        Tensor rotated = packed.narrow(2, 0, heads + groups), value = packed.narrow(2, heads + groups, groups);
        if (options.Rotary is { } rotary) rotated = Rotated(rotated, rotary);
        Tensor query = rotated.narrow(2, 0, heads), key = rotated.narrow(2, heads, groups);
        Tensor result = Composed(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2).to(rotated.dtype), options);
        return result.transpose(1, 2).to(packed.dtype).MoveToOuterDisposeScope();
    }

    // (B, T, N, D), in float32 or more.
    private static Tensor Rotated(Tensor heads, RotaryAngles rotary)
    {
        long half = rotary.RotatedDim / 2;
        Tensor x = heads.dtype == ScalarType.Float64 ? heads : heads.to(ScalarType.Float32);
        Tensor table = rotary.Table.to(x.dtype).unsqueeze(-2); // (…, T, 1, W)
        Tensor pairs = x.narrow(3, 0, rotary.RotatedDim).unflatten(3, rotary.Interleaved ? [half, 2] : [2, half]);
        int apart = rotary.Interleaved ? -1 : -2;
        (Tensor a, Tensor b) = (pairs.select(apart, 0), pairs.select(apart, 1)); // (B, T, N, R/2)
        Tensor cos = rotary.Interleaved ? table.slice(-1, 0, rotary.RotatedDim, 2) : table.narrow(-1, 0, half);
        Tensor sin = rotary.Interleaved ? table.slice(-1, 1, rotary.RotatedDim, 2) : table.narrow(-1, 3 * half, half);
        Tensor both = stack([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], apart).flatten(3);
        return rotary.RotatedDim == x.size(3) ? both : cat([both, x.narrow(3, rotary.RotatedDim, x.size(3) - rotary.RotatedDim)], 3);
    }

    private static int LanesOf(long width)
    {
        // Four lanes do not pay on x86; tests ask for them.
        int fewest = AdvSimd.Arm64.IsSupported || Lanes.Most < Lanes.Widest ? 4 : 8;
        for (int lanes = Lanes.Most; lanes >= fewest; lanes /= 2)
            if (width % lanes == 0) return lanes;
        return 0;
    }

    private static bool Fits(Tensor x) =>
        x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16 && x.dim() == 4 && x.numel() > 0;

    private static Tensor UnitStride(Tensor heads) => heads.stride(3) == 1 ? heads.alias() : heads.contiguous();

    // (B, N, T, D), laid out as (B, T, N, D), as the residual stream needs heads.
    private static Tensor SideBySide(Tensor like)
    {
        using Tensor tokens = empty([like.size(0), like.size(2), like.size(1), like.size(3)], like.dtype);
        return tokens.transpose(1, 2);
    }

    // The heads [first, …) of a (B, T, N, D) tensor.
    private static HeadRows RowsOfPacked(Tensor tokens, long first = 0)
    {
        byte* data = tokens.DataPointer + first * tokens.stride(2) * tokens.element_size();
        return new(data, tokens.stride(0), tokens.stride(2), tokens.stride(1), tokens.dtype == ScalarType.BFloat16);
    }

    private static void Forward(FlashCall call)
    {
        int lanes = LanesOf(call.Width), threads = get_num_threads();
        long lists = call.Batch * call.Groups, tiles = call.Heads / call.Groups * ((call.Queries + 63) / 64);
        call.Parts = threads == 1 || lists >= 2 * threads ? 1 : Math.Min(tiles, (2 * threads + lists - 1) / lists);
        long work = call.Heads * call.Queries * Math.Min(call.Keys, call.Before + call.After) * call.Width / (call.Groups * call.Parts);
        ParallelFor.Run(lists * call.Parts, Math.Max(1, Grain / Math.Max(1, work)), (begin, end) =>
        {
            if (lanes == 16) FlashLoops<Lanes16>.Forward(call, begin, end);
            else if (lanes == 8) FlashLoops<Lanes8>.Forward(call, begin, end);
            else FlashLoops<Lanes4>.Forward(call, begin, end);
        });
    }

    private static void Backward(FlashCall call)
    {
        int lanes = LanesOf(call.Width);
        long work = call.Heads / call.Groups * call.Queries * Math.Min(call.Keys, call.Before + call.After) * call.Width * 2;
        ParallelFor.Run(call.Batch * call.Groups, Math.Max(1, Grain / Math.Max(1, work)), (begin, end) =>
        {
            if (lanes == 16) FlashLoops<Lanes16>.Backward(call, begin, end);
            else if (lanes == 8) FlashLoops<Lanes8>.Backward(call, begin, end);
            else FlashLoops<Lanes4>.Backward(call, begin, end);
        });
    }

    /// <summary>Arguments of a call that take no gradient.</summary>
    internal sealed record Options(
        double Scale, long Before, long After, CounterDropout Dropout, Tensor? Documents, RotaryAngles? Rotary, long Groups)
    {
        public void Check(long batch, long queries)
        {
            if (Before < 1 || After < 0) throw new TorchException($"a band that hides a query's own key: before {Before}, after {After}");
            Dropout.Check();
            if (Documents is not null
                && (Documents.dtype != ScalarType.Int32 || !Documents.shape.AsSpan().SequenceEqual([batch, queries, 2])))
                throw new TorchException($"documents {Documents.ShapeText} {Documents.dtype} should be [{batch}, {queries}, 2] Int32");
        }

        public void CheckAngles(Tensor packed)
        {
            if (Rotary is not { } rotary) return;
            Tensor table = rotary.Table;
            if (table.dtype != ScalarType.Float32 || table.dim() is not (2 or 3) || (table.dim() == 3 && table.size(0) != packed.size(0))
                || table.size(-2) != packed.size(1) || table.size(-1) != (rotary.Interleaved ? 1 : 2) * rotary.RotatedDim
                || rotary.RotatedDim <= 0 || rotary.RotatedDim % 2 != 0 || rotary.RotatedDim > packed.size(3))
            {
                throw new TorchException(
                    $"angles {table.ShapeText} {table.dtype} do not rotate {rotary.RotatedDim} numbers of each head of {packed.ShapeText}");
            }
        }

        // Whether a key is hidden from a query, (T, S) or (B, 1, T, S); null where none is.
        public Tensor? Hidden(long queries, long keys, Device device)
        {
            bool banded = Before < queries || After < keys - 1;
            if (!banded && Documents is null) return null;
            Tensor key = arange(keys, device: device); // (S)
            Tensor distance = arange(queries, device: device).unsqueeze(1).sub(key); // (T, S)
            Tensor hidden = distance.ge(Before).logical_or(distance.lt(-After));
            if (Documents is null) return hidden;
            Tensor bounds = Documents.to(device).unsqueeze(1); // (B, 1, T, 2)
            return hidden.logical_or(key.lt(bounds.narrow(-1, 0, 1))).logical_or(key.ge(bounds.narrow(-1, 1, 1))); // (B, 1, T, S)
        }

        // A call without the tensors it reads and writes; documents and angles are contiguous.
        public FlashCall Call(
            long batch, long heads, long groups, long queries, long keys, long width, Tensor? documents, Tensor? angles) => new()
        {
            Batch = batch, Heads = heads, Groups = groups, Queries = queries, Keys = keys, Width = (int)width, Scale = (float)Scale,
            Before = Math.Min(Before, Unbounded), After = Math.Min(After, Unbounded), Dropout = new(Dropout),
            Documents = documents is null ? null : (int*)documents.DataPointer,
            Angles = angles is null ? null : (float*)angles.DataPointer,
            AngleBatchStride = angles is { } table && table.dim() == 3 ? table.stride(0) : 0,
            AngleRowStride = angles?.stride(-2) ?? 0,
            RotatedDim = (int)(Rotary?.RotatedDim ?? 0), Interleaved = Rotary?.Interleaved ?? false,
        };
    }

    private sealed class AttendFunction : SingleTensorFunction<AttendFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            Options options = (Options)vars[3];
            using Tensor query = UnitStride((Tensor)vars[0]), key = UnitStride((Tensor)vars[1]), value = UnitStride((Tensor)vars[2]);
            using Tensor? documents = options.Documents?.contiguous();
            using Tensor? log = ctx.Records ? empty(query.shape.AsSpan(0, 3).ToArray(), ScalarType.Float32) : null;
            Tensor result = SideBySide(query);
            FlashCall call = CallOf(options, query, key, value, documents);
            call.Out = HeadRows.Of(result);
            call.Log = log is null ? null : (float*)log.DataPointer;
            FlashAttention.Forward(call);
            ctx.save_data("options", options);
            ctx.save_for_backward([query, key, value, result, log!, documents!]);
            return result;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            Tensor?[] saved = [.. ctx.get_saved_variables()];
            using Tensor gradient = UnitStride(grad_output);
            Tensor query = SideBySide(saved[0]!), key = SideBySide(saved[1]!), value = SideBySide(saved[2]!);
            FlashCall call = CallOf((Options)ctx.get_data("options")!, saved[0]!, saved[1]!, saved[2]!, saved[5]);
            call.Out = HeadRows.Of(saved[3]);
            call.Log = (float*)saved[4]!.DataPointer;
            call.OutGradient = HeadRows.Of(gradient);
            (call.QueryGradient, call.KeyGradient, call.ValueGradient) = (HeadRows.Of(query), HeadRows.Of(key), HeadRows.Of(value));
            FlashAttention.Backward(call);
            return [query, key, value, null!];
        }

        private static FlashCall CallOf(Options options, Tensor query, Tensor key, Tensor value, Tensor? documents)
        {
            FlashCall call = options.Call(
                query.size(0), query.size(1), key.size(1), query.size(2), key.size(2), query.size(3), documents, null);
            (call.Query, call.Key, call.Value) = (HeadRows.Of(query), HeadRows.Of(key), HeadRows.Of(value));
            return call;
        }
    }

    private sealed class AttendPackedFunction : SingleTensorFunction<AttendPackedFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            Options options = (Options)vars[1];
            using Tensor packed = UnitStride((Tensor)vars[0]);
            long heads = packed.size(2) - 2 * options.Groups;
            using Tensor? documents = options.Documents?.contiguous(), angles = options.Rotary?.Table.contiguous();
            using Tensor? log = ctx.Records ? empty([packed.size(0), heads, packed.size(1)], ScalarType.Float32) : null;
            Tensor result = empty([packed.size(0), packed.size(1), heads, packed.size(3)], packed.dtype);
            FlashCall call = CallOf(options, packed, documents, angles);
            call.Out = RowsOfPacked(result);
            call.Log = log is null ? null : (float*)log.DataPointer;
            FlashAttention.Forward(call);
            ctx.save_data("options", options);
            ctx.save_for_backward([packed, result, log!, documents!, angles!]);
            return result;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            Tensor?[] saved = [.. ctx.get_saved_variables()];
            Options options = (Options)ctx.get_data("options")!;
            using Tensor gradient = UnitStride(grad_output);
            Tensor packed = empty(saved[0]!.shape, saved[0]!.dtype);
            FlashCall call = CallOf(options, saved[0]!, saved[3], saved[4]);
            call.Out = RowsOfPacked(saved[1]!);
            call.Log = (float*)saved[2]!.DataPointer;
            call.OutGradient = RowsOfPacked(gradient);
            (call.QueryGradient, call.KeyGradient, call.ValueGradient) =
                (RowsOfPacked(packed), RowsOfPacked(packed, call.Heads), RowsOfPacked(packed, call.Heads + call.Groups));
            FlashAttention.Backward(call);
            return [packed, null!];
        }

        private static FlashCall CallOf(Options options, Tensor packed, Tensor? documents, Tensor? angles)
        {
            long groups = options.Groups, heads = packed.size(2) - 2 * groups;
            FlashCall call = options.Call(packed.size(0), heads, groups, packed.size(1), packed.size(1), packed.size(3), documents, angles);
            (call.Query, call.Key, call.Value) = (RowsOfPacked(packed), RowsOfPacked(packed, heads), RowsOfPacked(packed, heads + groups));
            return call;
        }
    }
}
