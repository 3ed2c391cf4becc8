using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Each sees the last <see cref="Stride"/> and, before them, every <see cref="Stride"/>-th: the Sparse Transformer's strided
/// pattern (Child et al. 2019, arXiv 1904.10509, §4.3). Work per position is stride + T/stride.</summary>
public sealed record StridedOptions : PatternOptions
{
    /// <summary>Width of the window and distance of the columns; cheapest near √T.</summary>
    [Description("The width of the window, and the distance of the positions seen before it.")]
    [Range(1, 16_777_216)]
    public required int Stride { get; init; }

    internal override bool IsCausal => true;

    internal override long VisibleKeys(int length) => Math.Min(length, Stride + length / Stride);

    internal override AttentionPattern Build() => new StridedPattern(Stride);
}

internal sealed class StridedPattern(int stride) : AttentionPattern
{
    public override IReadOnlyList<AttentionPattern> Parts { get; } = [new SlidingPattern(stride, causal: true), new StridedColumns(stride)];

    public override Tensor Visible(Tensor queries, Tensor keys)
    {
        Tensor distance = queries.sub(keys); // (T, S)
        return distance.ge(0).logical_and(distance.lt(stride).logical_or(distance.remainder(stride).eq(0)));
    }

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) => [PositionRun.Until(0, queries.Last + 1)];
}

// Queries a stride apart see the same columns: together they are a small causal attention of their own.
internal sealed class StridedColumns(int stride) : AttentionPattern
{
    public override int QueryStep => stride;

    public override Tensor Visible(Tensor queries, Tensor keys)
    {
        Tensor distance = queries.sub(keys); // (T, S)
        return distance.ge(stride).logical_and(distance.remainder(stride).eq(0));
    }

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) =>
        [PositionRun.Until(queries.Start % stride, queries.Last - stride + 1, stride)];
}
