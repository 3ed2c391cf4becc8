namespace Trainer.Transformers.FeedForward;

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
        PartCost matrices = PartCost.Linear(model.Dim, Activation.InputWidth(width), bias) + PartCost.Linear(width, model.Dim, bias);
        PartCost linear = matrices with { PassingGradients = Activation.InputWidth(width) };
        // In bfloat16 a kernel for all of it keeps what the function read alone; else what the last matrix reads is kept as it is multiplied, the rest as it is.
        return Activation.Fused is null
            ? linear with { Activations = (Activation.Kept - 1L) * width, RoundedActivations = width }
            : linear with
            {
                RoundedActivations = (long)Activation.KeptRounded * width,
                FullActivations = (long)(Activation.Kept - Activation.KeptRounded) * width,
                // The gradient of what the function gave in float32, what it gave, and the gradient of what it read.
                RoundedPassingBytes = (4L + 2) * width + 2L * Activation.InputWidth(width),
            };
    }

    internal override FeedForwardModule Build(ModelParts parts) =>
        FeedForwardModule.Of(parts, Activation, Width(parts.Dim), Bias);

    private Activation Activation => Activation.Of(Kind);
}
