// Shapes: B batch, T query positions, S key positions, H query heads, G key-value heads, D head dimension, L distances.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>One call of a kernel: query (B, H, T, D), key and value (B, G, S, D), consecutive query heads sharing a key head.</summary>
internal readonly record struct AttentionCall(
    Tensor Query, Tensor Key, Tensor Value, AttentionPattern Pattern, PositionSpan Queries, PositionSpan Keys, double Scale,
    MaskStore Masks)
{
    /// <summary>Fewest queries for which <see cref="FlashAttention"/> pays.</summary>
    public const int FewestRows = 16;

    public CounterDropout Dropout { get; init; }

    /// <summary>Bounds scores s to cap·tanh(s / cap), before the bias; null for no bound.</summary>
    public double? SoftCap { get; init; }

    public ScoreBias? Bias { get; init; }

    public DocumentIds? Documents { get; init; }

    public LinearState? Sums { get; init; }

    /// <summary>In a batch of sequences of different lengths, where each stands: one query, keys padded to the longest.</summary>
    public RowPositions? Rows { get; init; }

    public int Sharing => (int)(Query.size(1) / Key.size(1));

    /// <summary>Whether a kernel's preparations cost little beside its work.</summary>
    public bool IsLong => Queries.Count >= 128;

    /// <summary>Whether a causal flag says it all: the queries are the keys, of one document.</summary>
    public bool IsSquareCausal => Documents is null && Pattern.Shape == PatternShape.Causal && Queries == Keys && Queries.Count > 1;

    /// <summary>Whether a GPU keeps something for a backward pass, which not every head dimension's kernel has there.</summary>
    public bool HasGpuBackward =>
        Query.device_type == DeviceType.CUDA && is_grad_enabled()
        && (Query.requires_grad || Key.requires_grad || Value.requires_grad);

    public bool SeesEverything =>
        Documents is null && Rows is null
        && (Pattern.Shape == PatternShape.Full || (Pattern.Shape == PatternShape.Causal && Queries.Count == 1));

    /// <summary>Bounds of contiguous documents (<see cref="DocumentIds.Spans"/>); null without documents, or for few queries.</summary>
    public Tensor? Spans => Queries.Count >= FewestRows ? Documents?.Spans(Queries.Count) : null;

    /// <summary>Whether <see cref="FlashAttention"/> computes it: a sequence or a piece of it under a band, contiguous documents, no
    /// bias.</summary>
    /// <remarks>Kernels ask it of each call: the choice that <see cref="LayerKernels"/> keeps knows no positions, and the band of a piece
    /// depends on them.</remarks>
    public bool IsSimdSupported =>
        Queries.Count >= FewestRows && (Documents is null || Spans is not null) && Bias is null && SoftCap is null
        && Band is not null && FlashAttention.IsSupported(Query, Key, Value);

    // Which keys a query sees, by their indices; null where no band says it.
    private PatternBand? Band
    {
        get
        {
            if (Pattern.Band is not { } band || Pattern.Shape == PatternShape.Full) return Pattern.Band;
            if (Queries.Sinks > 0 || Keys.Sinks > 0 || Queries.End != Keys.End) return null;
            int cached = Queries.Start - Keys.Start; // keys before those of the first query
            if (cached == 0) return band;
            return band.Before > cached && Documents is null && Dropout.Probability == 0
                ? new(band.Before - cached, band.After + cached)
                : null;
        }
    }

    public Tensor AttendSimd()
    {
        PatternBand band = Band!.Value;
        return FlashAttention.Attend(Query, Key, Value, Scale, band.Before, band.After, Dropout, Spans);
    }

    public Tensor Mask() // bool, true where visible: (T, S), or (B, 1, T, S) with documents or rows
    {
        if (Rows is not null) return Rows.Mask(Pattern);
        if (Documents is not null && Pattern.Shape == PatternShape.Full) return Documents.Together; // (B, 1, T|1, S)
        Tensor visible = Masks.Get(Pattern, Queries, Keys, Query.device);
        return Documents is null ? visible : Documents.Within(visible);
    }

    /// <summary>As <see cref="Mask"/>, to be added to the scores: 0 where visible, else −∞, in the query's type.</summary>
    /// <remarks>libtorch's kernel for GPUs makes one of a boolean mask in every call, and keeps it for the backward pass: B·T·S numbers
    /// for each layer. This one all layers share. Rows are of one query, where there is little to share.</remarks>
    public Tensor AdditiveMask() => Rows is not null ? Mask()
        : Documents is not null ? Documents.Additive(Mask(), Query.dtype)
        : Masks.Additive(Pattern, Queries, Keys, Query.device, Query.dtype);

    public TilePlan Plan() => Masks.Plan(Pattern, Queries, Keys, Query.device);
}

/// <summary>What positions add to the scaled scores, (1, H, T, S), depending on distances alone.</summary>
internal sealed class ScoreBias(Func<PositionSpan, PositionSpan, Tensor> over)
{
    /// <summary>Whether distances are not those of columns, so that only the whole table says what is added.</summary>
    public bool SkipsPositions { get; init; }

    public Tensor Over(PositionSpan queries, PositionSpan keys) => over(queries, keys);

    /// <summary>The bias by distance, without making T·S numbers.</summary>
    public DistanceBias ByDistance(PositionSpan queries, PositionSpan keys, Device device)
    {
        int highest = queries.End - 1 - (keys.Sinks > 0 ? 0 : keys.Start), lowest = queries.Start - keys.End + 1;
        // One query with keys at all these distances.
        int query = Math.Max(0, highest);
        Tensor row = over(new(query, 1), new(query - highest, highest - lowest + 1)); // (1, H, 1, L), the farthest key first
        return new(
            row.select(0, 0).select(1, 0).flip(1).to_type(ScalarType.Float32), lowest, queries.Positions(device), keys.Positions(device));
    }
}

/// <summary>Masks as they are added to scores.</summary>
internal static class ScoreMask
{
    // libtorch's memory-efficient kernel wants rows to begin at multiples of it, and copies a mask in every call where they do not.
    private const long Alignment = 8;

    /// <summary>Of a boolean mask (…, S), true where visible: 0 there, else −∞. The caller owns it.</summary>
    public static Tensor Of(Tensor visible, ScalarType type) => Constants.Own(() =>
    {
        long[] shape = visible.shape;
        long keys = shape[^1];
        shape[^1] = (keys + Alignment - 1) / Alignment * Alignment;
        Tensor mask = zeros(shape, type, visible.device).narrow(shape.Length - 1, 0, keys); // (…, S)
        return mask.masked_fill_(visible.logical_not(), double.NegativeInfinity);
    });
}

/// <summary>The last masks and tiles of each pattern, which the store owns and all layers share.</summary>
/// <remarks>Thread-safe for threads that ask for one shape of a pattern; a mask lives until another shape is asked for.</remarks>
internal sealed class MaskStore : IDisposable
{
    private readonly LastOfEach<Tensor> masks = new(), additive = new();
    private readonly LastOfEach<TilePlan> plans = new();

    public Tensor Get(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device) => // (T, S)
        masks.Get(pattern, new(queries, keys, device.Key), () => Constants.Own(() => pattern.Mask(queries, keys, device)));

    /// <summary>The same, as it is added to scores of a type.</summary>
    public Tensor Additive(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device, ScalarType type) => // (T, S)
        additive.Get(
            pattern, new(queries, keys, device.Key, type), () => ScoreMask.Of(Get(pattern, queries, keys, device), type));

    public TilePlan Plan(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device) =>
        plans.Get(pattern, new(queries, keys, device.Key), () => TilePlan.Create(pattern, queries, keys, device));

    public void Clear()
    {
        masks.Dispose();
        additive.Dispose();
        plans.Dispose();
    }

    public void Dispose() => Clear();

    private readonly record struct Key(
        PositionSpan Queries, PositionSpan Keys, (DeviceType, int) Device, ScalarType Type = ScalarType.Bool);

    private sealed class LastOfEach<T> : IDisposable
        where T : IDisposable
    {
        private readonly Dictionary<AttentionPattern, (Key Key, T Made)> entries = [];

        public T Get(AttentionPattern pattern, Key key, Func<T> make)
        {
            lock (entries)
            {
                if (entries.TryGetValue(pattern, out var entry))
                {
                    if (entry.Key == key) return entry.Made;
                    entry.Made.Dispose();
                }
                T made = make();
                entries[pattern] = (key, made);
                return made;
            }
        }

        public void Dispose()
        {
            foreach (var entry in entries.Values) entry.Made.Dispose();
            entries.Clear();
        }
    }
}
