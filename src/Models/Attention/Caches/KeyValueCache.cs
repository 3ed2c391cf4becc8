// Shapes: B batch, G heads of a cached tensor, T new positions, S cached and new positions, D width of a head.
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>The keys and values of one attention layer; positions are absolute, whatever is kept.</summary>
internal abstract class KeyValueCache : LayerState
{
    /// <summary>Cached keys and values (B, G, S, D) and their positions: views that are valid until the cache changes.</summary>
    public abstract (Tensor Key, Tensor Value, PositionSpan Positions) Contents { get; }

    /// <summary>Adds new tokens, (B, G, T, D); returns all they may see, themselves last: views, valid until the next call.</summary>
    public abstract (Tensor Key, Tensor Value, PositionSpan Positions) Append(Tensor key, Tensor value);

    /// <summary>What is kept of a sequence; null for every token.</summary>
    protected virtual KeyWindow? Kept => null;

    public override LayerState AppendTo(LayerState? batch)
    {
        (Tensor key, Tensor value, PositionSpan positions) = Contents;
        BatchCache cache = (BatchCache?)batch ?? new BatchCache(key, value, Kept);
        cache.Join(key, value, positions);
        return cache;
    }
}

/// <summary>The cache of keys and values. A new one is one file, a member here and a line in <see cref="CacheSelection"/>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<AttentionCache>))]
public enum AttentionCache
{
    /// <summary>Rolling for a sliding window, else contiguous.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>Every token, in one buffer.</summary>
    [JsonStringEnumMemberName("contiguous")]
    Contiguous,

    /// <summary>Only what a sliding window still sees: constant memory.</summary>
    [JsonStringEnumMemberName("rolling")]
    Rolling,

    /// <summary>Every token, in blocks that sequences with a common prefix share.</summary>
    [JsonStringEnumMemberName("paged")]
    Paged,
}

/// <summary>What one layer caches of each token: for most projections heads of keys and values.</summary>
internal readonly record struct CacheLayout(int KeyHeads, int KeyDim, int ValueHeads, int ValueDim)
{
    public int NumbersPerToken => KeyHeads * KeyDim + ValueHeads * ValueDim;
}

internal static class CacheSelection
{
    public static IEnumerable<Problem> Problems(AttentionOptions options)
    {
        if (options.Kernel == AttentionKernel.Linear && options.Cache != AttentionCache.Auto)
            yield return new(
                "cache",
                $"kernel 'linear' remembers one sum and no tokens, so there is nothing for cache '{Name(options.Cache)}' to keep; " +
                "leave cache out, or use kernel 'auto'");
        else if (options.Cache == AttentionCache.Rolling && options.ResolvedPattern.KeyWindow is null)
            yield return new(
                "cache",
                $"a rolling cache forgets what pattern '{options.ResolvedPattern.Type}' still sees; " +
                "use pattern 'sliding', or cache 'contiguous'");
    }

    public static LayerState Create(AttentionOptions options, CacheLayout layout, int batch, int capacity, ScalarType dtype, Device device)
    {
        if (options.Kernel == AttentionKernel.Linear) return new LinearState();
        KeyWindow? window = options.ResolvedPattern.KeyWindow;
        return options.Cache switch
        {
            AttentionCache.Paged => new PagedCache(layout, batch, dtype, device),
            AttentionCache.Auto or AttentionCache.Rolling when window is { } seen && RollingCache.RowsFor(seen) < capacity =>
                new RollingCache(layout, batch, seen, dtype, device),
            // A text shorter than the window needs no more than its own length.
            _ => new ContiguousCache(layout, batch, capacity, dtype, device),
        };
    }

    public static LayerMemory Cost(AttentionOptions options, CacheLayout layout)
    {
        if (options.Kernel == AttentionKernel.Linear) return new(0, ConstantBytes: LinearState.BytesFor(layout));
        bool rolls = options.Cache is AttentionCache.Auto or AttentionCache.Rolling;
        return new(layout.NumbersPerToken, rolls && options.ResolvedPattern.KeyWindow is { } seen ? RollingCache.RowsFor(seen) : null);
    }

    private static string Name(AttentionCache cache) => cache.ToString().ToLowerInvariant();
}
