// Shapes: B batch, T positions, C model dimension.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>A learned vector for each position up to the context length (GPT-2, BERT).</summary>
public sealed record LearnedOptions : PositionOptions
{
    internal override bool EntersEmbedding => true;

    internal override long Parameters(ModelOptions model) => (long)model.ContextLength * model.Dim;

    internal override PositionEncoding Build(StackContext stack, AttentionOptions attention) =>
        new LearnedPositions(stack.Options.ContextLength, stack.Dim);
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

    public Parameter Weight => weight; // (positions, C)

    public override Tensor Embed(Tensor x, AttentionContext context) => x.add(context.Positions is { } positions
        ? Functional.Embedding(positions, weight) // (B, T, C)
        : weight.narrow(0, context.Offset, x.size(1))); // (T, C)
}
