using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>A window, and global positions that see and are seen by all (Longformer, Beltagy et al. 2020, arXiv 2004.05150).</summary>
public sealed record LongformerOptions : PatternOptions
{
    /// <summary>Positions each sees to either side, itself included: i − window + 1 … i + window − 1 (half the paper's).</summary>
    [Description("How many positions each sees to either side, itself included.")]
    [Range(1, 16_777_216)]
    public required int Window { get; init; }

    /// <summary>Global positions, which see all and are seen by all.</summary>
    [Description("How many of the first positions see all and are seen by all.")]
    [Range(0, 16_777_216)]
    public int GlobalTokens { get; init; } = 1;

    /// <summary>Whether no position sees a later one, for decoders.</summary>
    [Description("Whether no position sees a later one.")]
    public bool Causal { get; init; }

    internal override bool IsCausal => Causal;

    internal override string CausalAdvice => "set causal to true";

    internal override string FullAdvice => "set causal to false";

    internal override KeyWindow? KeyWindow => Causal ? new(Window, GlobalTokens) : null;

    internal override bool CountsFromBeginning => GlobalTokens > 0;

    // Under a causal pattern global positions are sinks.
    internal override long VisibleKeys(int length) => Math.Min(length, (Causal ? Window : 2L * Window - 1) + GlobalTokens);

    internal override AttentionPattern Build() =>
        Causal ? new SlidingPattern(Window, causal: true, GlobalTokens) : new LongformerPattern(Window, GlobalTokens);
}

internal sealed class LongformerPattern(int window, int globalTokens) : AttentionPattern
{
    private readonly SlidingPattern columns = new(window, causal: false, globalTokens);

    public override int TileRows => columns.TileRows;

    public override Tensor Visible(Tensor queries, Tensor keys) => columns.Visible(queries, keys).logical_or(queries.lt(globalTokens));

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) =>
        queries.Start < globalTokens ? [PositionRun.Until(0, end)] : columns.KeysOf(queries, end);
}
