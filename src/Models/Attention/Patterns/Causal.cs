using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Every position sees itself and those before it: decoders.</summary>
public sealed record CausalOptions : PatternOptions
{
    internal override bool IsCausal => true;

    internal override AttentionPattern Build() => new CausalPattern();
}

internal sealed class CausalPattern : AttentionPattern
{
    public override PatternShape Shape => PatternShape.Causal;

    public override Tensor Visible(Tensor queries, Tensor keys) => keys.le(queries);

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) => [PositionRun.Until(0, queries.Last + 1)];
}
