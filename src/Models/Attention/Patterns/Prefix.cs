using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>A prefix language model: the first positions see each other (Raffel et al. 2020, arXiv 1910.10683, §3.2).</summary>
/// <remarks>The prefix, the row's first columns, is never predicted, even in training (<see cref="ModelOptions.PrefixLength"/>).</remarks>
public sealed record PrefixOptions : PatternOptions
{
    /// <summary>Length of the prefix; a prompt must have at least as many tokens.</summary>
    [Description(
        "How many of the first positions see each other. A decoder is given these: it does not learn to predict them, and a prompt " +
        "must have as many tokens.")]
    [Range(1, 16_777_216)]
    public required int PrefixLength { get; init; }

    internal override bool IsCausal => PrefixLength <= 1;

    internal override int? Prefix => PrefixLength;

    internal override AttentionPattern Build() => new PrefixPattern(PrefixLength);
}

internal sealed class PrefixPattern(int prefix) : AttentionPattern
{
    public override Tensor Visible(Tensor queries, Tensor keys) =>
        keys.le(queries).logical_or(queries.lt(prefix).logical_and(keys.lt(prefix)));

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) =>
        [PositionRun.Until(0, queries.Start < prefix ? Math.Max(prefix, queries.Last + 1) : queries.Last + 1)];
}
