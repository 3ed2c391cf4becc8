// Shapes: B batch, G heads of a remembered tensor, T new positions, S positions remembered and new, D width of a head.
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>What one attention layer remembers of the tokens before.</summary>
/// <remarks>Positions stay absolute, whatever the cache keeps of them.</remarks>
internal abstract class KeyValueCache : LayerState
{
    /// <summary>What is remembered: both tensors (B, G, S, D), and where these positions stand; views into the cache, valid until it changes.</summary>
    public abstract (Tensor First, Tensor Second, PositionSpan Positions) Remembered { get; }

    /// <summary>Adds new tokens and gives everything they may look back on.</summary>
    /// <param name="first">(B, G, T, D) as the projection's <see cref="CacheLayout"/> says.</param>
    /// <param name="second">(B, G, T, D) likewise.</param>
    /// <returns>Both tensors (B, G, S, D), the new positions last, and where these positions stand; views into the cache, valid until the next call.</returns>
    public abstract (Tensor First, Tensor Second, PositionSpan Positions) Append(Tensor first, Tensor second);
}

/// <summary>What decoding remembers of keys and values, as a configuration asks for it.</summary>
/// <remarks>A new cache is its own file, a member here and a line in <see cref="CacheSelection"/>.</remarks>
[JsonConverter(typeof(JsonStringEnumConverter<AttentionCache>))]
public enum AttentionCache
{
    /// <summary>Rolling where the pattern forgets, else contiguous.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>Every token, in one piece of memory with room for all.</summary>
    [JsonStringEnumMemberName("contiguous")]
    Contiguous,

    /// <summary>Only what a sliding window still sees: constant memory.</summary>
    [JsonStringEnumMemberName("rolling")]
    Rolling,

    /// <summary>Every token, in blocks that sequences with a common beginning share.</summary>
    [JsonStringEnumMemberName("paged")]
    Paged,
}

/// <summary>What a cache remembers of each token in one layer: two tensors, for most projections keys and values.</summary>
/// <param name="FirstHeads">Heads of the first tensor.</param>
/// <param name="FirstDim">Width of each.</param>
/// <param name="SecondHeads">Heads of the second tensor.</param>
/// <param name="SecondDim">Width of each.</param>
public readonly record struct CacheLayout(int FirstHeads, int FirstDim, int SecondHeads, int SecondDim)
{
    /// <summary>Numbers remembered of one token in one layer.</summary>
    public int NumbersPerToken => FirstHeads * FirstDim + SecondHeads * SecondDim;
}

/// <summary>Finds what an attention layer remembers while decoding.</summary>
internal static class CacheSelection
{
    /// <summary>Problems of demanding a cache that cannot serve these options.</summary>
    public static IEnumerable<Problem> Problems(AttentionOptions options)
    {
        if (options.Kernel == AttentionKernel.Linear && options.Cache != AttentionCache.Auto)
            yield return new("cache", $"kernel 'linear' remembers one sum and no tokens, so there is nothing for cache '{Name(options.Cache)}' to keep; leave cache out, or use kernel 'auto'");
        else if (options.Cache == AttentionCache.Rolling && options.ResolvedPattern.Horizon is null)
            yield return new("cache", $"a rolling cache forgets what pattern '{options.ResolvedPattern.Type}' still sees; use pattern 'sliding', or cache 'contiguous'");
    }

    /// <summary>An empty cache.</summary>
    /// <param name="options">The attention.</param>
    /// <param name="layout">What is remembered of a token.</param>
    /// <param name="batch">Sequences, B.</param>
    /// <param name="capacity">Positions there is to be room for.</param>
    /// <param name="dtype">The type keys and values are computed in.</param>
    /// <param name="device">Where.</param>
    public static LayerState Create(AttentionOptions options, CacheLayout layout, int batch, int capacity, ScalarType dtype, Device device)
    {
        if (options.Kernel == AttentionKernel.Linear) return new LinearState();
        Horizon? horizon = options.ResolvedPattern.Horizon;
        return options.Cache switch
        {
            AttentionCache.Paged => new PagedCache(layout, batch, dtype, device),
            AttentionCache.Auto or AttentionCache.Rolling when horizon is { } seen && RollingCache.RowsFor(seen) < capacity =>
                new RollingCache(layout, batch, seen, dtype, device),
            // A text that ends before its window is full needs no more than its own room.
            _ => new ContiguousCache(layout, batch, capacity, dtype, device),
        };
    }

    /// <summary>What the cache will take for one sequence.</summary>
    public static LayerMemory Cost(AttentionOptions options, CacheLayout layout)
    {
        if (options.Kernel == AttentionKernel.Linear) return new(0, ConstantBytes: LinearState.BytesFor(layout));
        bool rolls = options.Cache is AttentionCache.Auto or AttentionCache.Rolling;
        return new(layout.NumbersPerToken, rolls && options.ResolvedPattern.Horizon is { } seen ? RollingCache.RowsFor(seen) : null);
    }

    private static string Name(AttentionCache cache) => cache.ToString().ToLowerInvariant();
}
