using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Every position sees every position: encoders.</summary>
public sealed record FullOptions : PatternOptions
{
    internal override bool IsCausal => false;

    internal override AttentionPattern Build() => new FullPattern();
}

internal sealed class FullPattern : AttentionPattern
{
    public override PatternShape Shape => PatternShape.Full;

    public override Tensor Visible(Tensor queries, Tensor keys) =>
        ones(queries.size(0), keys.size(1), ScalarType.Bool, queries.device); // (T, S)
}
