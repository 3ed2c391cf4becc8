using Trainer.Models.Attention;

namespace Trainer.Models.Positions;

/// <summary>No positions: a causal decoder can infer order from what each token sees (Kazemnejad et al. 2023, arXiv 2305.19466).</summary>
public sealed record NoPositionOptions : PositionOptions
{
    internal override PositionEncoding Build(ModelParts parts, AttentionOptions attention) => new NoPositions();
}

internal sealed class NoPositions() : PositionEncoding(nameof(NoPositions))
{
}
