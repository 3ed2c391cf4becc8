using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Numerics;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Each sees the last few (Mistral 7B, Jiang et al. 2023, arXiv 2310.06825) and the sinks (StreamingLLM, Xiao et al. 2023,
/// arXiv 2309.17453). L layers reach L·(window − 1) positions back.</summary>
public sealed record SlidingOptions : PatternOptions
{
    /// <summary>Positions each sees backwards, itself included: i − window + 1 … i; unless causal up to i + window − 1.</summary>
    [Description("How many positions each sees backwards, itself included; as many forwards where causal is false.")]
    [Range(1, 16_777_216)]
    public required int Window { get; init; }

    /// <summary>Whether no position sees a later one; false for encoders.</summary>
    [Description("Whether no position sees a later one.")]
    public bool Causal { get; init; } = true;

    /// <summary>Attention sinks: first positions that all see.</summary>
    [Description("How many of the first positions stay visible.")]
    [Range(0, 16_777_216)]
    public int Sinks { get; init; }

    internal override bool IsCausal => Causal;

    internal override string CausalAdvice => "set causal to true";

    internal override string FullAdvice => "set causal to false";

    internal override KeyWindow? KeyWindow => Causal ? new(Window, Sinks) : null;

    internal override bool CountsFromBeginning => Sinks > 0;

    internal override long VisibleKeys(int length) => Math.Min(length, (Causal ? Window : 2L * Window - 1) + Sinks);

    internal override AttentionPattern Build() => new SlidingPattern(Window, Causal, Sinks);
}

internal sealed class SlidingPattern(int window, bool causal, int sinks = 0) : AttentionPattern
{
    public override PatternBand? Band => sinks == 0 ? new(window, causal ? 0 : window - 1) : null;

    // A tile of m queries reads window + m keys: half a window adds half the work, and smaller tiles multiply more slowly.
    public override int TileRows => Math.Clamp((int)BitOperations.RoundUpToPowerOf2((uint)window) / 2, 64, 256);

    public override Tensor Visible(Tensor queries, Tensor keys)
    {
        Tensor distance = queries.sub(keys); // (T, S)
        Tensor near = (causal ? distance : distance.abs()).lt(window);
        if (sinks > 0) near = near.logical_or(keys.lt(sinks));
        return causal ? near.logical_and(distance.ge(0)) : near;
    }

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end)
    {
        int first = Math.Max(0, queries.Start - window + 1);
        if (sinks > 0) yield return PositionRun.Until(0, Math.Min(sinks, first));
        yield return PositionRun.Until(first, causal ? queries.Last + 1 : queries.Last + window);
        if (!causal) yield return PositionRun.Until(queries.Last + window, Math.Min(sinks, end));
    }
}
