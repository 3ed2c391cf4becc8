using Trainer.Configuration;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Caches;

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
