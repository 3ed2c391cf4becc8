// Shapes: B batch, T positions, C model dimension.
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Transformers.Positions;

/// <summary>A learned vector for each position up to the context length (GPT-2, BERT).</summary>
public sealed record LearnedOptions : PositionOptions
{
    internal override long Parameters(ModelOptions model) => (long)model.ContextLength * model.Dim;

    internal override PositionEncoding Build(ModelOptions model) => new LearnedPositions(model.ContextLength, model.Dim);
}

internal sealed class LearnedPositions : PositionEncoding
{
    private readonly Parameter weight;

    public LearnedPositions(int positions, int dim)
        : base(nameof(LearnedPositions))
    {
        weight = new Parameter(empty(positions, dim));
        Limit = positions;
        RegisterComponents();
    }

    public override int? Limit { get; }

    /// <summary>One row a position, (positions, C).</summary>
    public Parameter Weight => weight;

    public override Tensor Embed(Tensor x, int offset) => x.add(weight.narrow(0, offset, x.shape[1])); // (B, T, C) + (T, C)
}
