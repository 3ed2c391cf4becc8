using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Patterns;

/// <summary>The first positions see each other, the others see what is before them (prefix language model, Raffel et al. 2020,
/// arXiv 1910.10683, §3.2).</summary>
public sealed record PrefixOptions : PatternOptions
{
    /// <summary>How many of the first positions see each other.</summary>
    [Description("How many of the first positions see each other.")]
    [Range(1, 16_777_216)]
    public required int PrefixLength { get; init; }

    internal override bool IsCausal => PrefixLength <= 1;

    internal override AttentionPattern Build() => new PrefixPattern(PrefixLength);
}

internal sealed class PrefixPattern(int prefix) : AttentionPattern
{
    public override Tensor Visible(Tensor queries, Tensor keys) =>
        keys.le(queries).logical_or(queries.lt(prefix).logical_and(keys.lt(prefix)));

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) =>
        [PositionRun.Until(0, queries.Start < prefix ? Math.Max(prefix, queries.Last + 1) : queries.Last + 1)];
}
