using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Each sees its own block of <see cref="Stride"/> up to itself, and the last <see cref="Summary"/> positions of earlier blocks:
/// the Sparse Transformer's fixed pattern (Child et al. 2019, arXiv 1904.10509, §4.3).</summary>
public sealed record FixedOptions : PatternOptions
{
    /// <summary>Positions in a block.</summary>
    [Description("Positions in a block.")]
    [Range(1, 16_777_216)]
    public required int Stride { get; init; }

    /// <summary>Positions at the end of each block that all later ones see; 8 to 32 in the paper, for blocks of 128 or 256.</summary>
    [Description("Positions at the end of each block that all later ones see.")]
    [Range(1, 16_777_216)]
    public int Summary { get; init; } = 1;

    internal override bool IsCausal => true;

    internal override bool CountsFromBeginning => true;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Summary > Stride)
            yield return new(
                "summary",
                $"summary ({Summary}) must not be more than stride ({Stride}), the positions of a block; " +
                $"use at most {Stride}, or type 'causal' to see all");
    }

    internal override long VisibleKeys(int length) => Math.Min(length, Stride + (long)Summary * (length / Stride));

    internal override AttentionPattern Build() => new FixedPattern(Stride, Summary);
}

internal sealed class FixedPattern(int stride, int summary) : AttentionPattern
{
    // Whole blocks if they are small, else part of one.
    public override int TileRows => stride >= 256 ? 256 : Math.Max(1, 128 / stride) * stride;

    public override Tensor Visible(Tensor queries, Tensor keys)
    {
        Tensor sameBlock = Block(keys).eq(Block(queries)); // (T, S)
        return keys.le(queries).logical_and(sameBlock.logical_or(keys.remainder(stride).ge(stride - summary)));
    }

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end)
    {
        int own = queries.Start / stride * stride;
        for (int column = stride - summary; column < stride; column++) yield return PositionRun.Until(column, own, stride);
        yield return PositionRun.Until(own, queries.Last + 1);
    }

    private Tensor Block(Tensor positions) => positions.sub(positions.remainder(stride));
}
