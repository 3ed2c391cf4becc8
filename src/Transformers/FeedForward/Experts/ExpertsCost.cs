namespace Trainer.Transformers.FeedForward.Experts;

/// <summary>What a layer of experts costs: memory for all of them, work for the active ones.</summary>
internal static class ExpertsCost
{
    public static PartCost Of(ExpertsOptions options, ModelOptions model)
    {
        (int dim, int width) = (model.Dim, options.Width(model.Dim));
        bool bias = options.Bias ?? model.Bias;
        Activation activation = Activation.Of(options.Activation);
        PartCost Layer(int hidden) =>
            PartCost.Linear(dim, activation.InputWidth(hidden), bias) + PartCost.Linear(hidden, dim, bias) with { Activations = (activation.Kept - 1L) * hidden, RoundedActivations = hidden };

        PartCost expert = Layer(width), used = options.Active * expert;
        PartCost router = PartCost.Linear(dim, options.Experts, bias: false);
        PartCost always = router + (options.Shared > 0 ? Layer(options.Shared * width) : default);
        return (used + always) with
        {
            // All experts are learned; a token is multiplied with its active ones.
            Parameters = always.Parameters + options.Experts * expert.Parameters,
            IdleParameters = (options.Experts - options.Active) * expert.Parameters,
            // Logits and affinities; for each active expert the token and the result, and the result's sum.
            Activations = used.Activations + always.Activations + 2L * options.Experts + (2L * options.Active + 1) * dim,
            RoundedActivations = used.RoundedActivations + always.RoundedActivations,
            PassingGradients = (long)options.Active * (activation.InputWidth(width) + dim),
        };
    }
}
