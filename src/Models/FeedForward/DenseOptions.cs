namespace Trainer.Models.FeedForward;

/// <summary>A feed-forward layer all of whose weights every token is multiplied with: matrices around an activation.</summary>
/// <remarks>Its kinds differ in nothing but the activation.</remarks>
public abstract record DenseOptions : FeedForwardOptions
{
    /// <summary>The function between the matrices.</summary>
    internal abstract ActivationKind Kind { get; }

    internal override bool ReadsRounded => true;

    internal override int DefaultWidth(int dim) => Activation.DefaultWidth(dim);

    internal override PartCost Cost(ModelOptions model)
    {
        int width = Width(model.Dim);
        bool bias = Bias ?? model.Bias;
        return PartCost.Linear(model.Dim, Activation.InputWidth(width), bias) + PartCost.Linear(width, model.Dim, bias);
    }

    internal override FeedForwardModule Build(ModelParts parts) =>
        FeedForwardModule.Of(parts, Activation, Width(parts.Dim), Bias);

    private Activation Activation => Activation.Of(Kind);
}
