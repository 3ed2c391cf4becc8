namespace Trainer.Models.FeedForward.Experts;

/// <summary>What a layer of experts costs: memory for all of them, work for the active ones.</summary>
internal static class ExpertsCost
{
    public static PartCost Of(ExpertsOptions options, ModelOptions model)
    {
        (int dim, int width) = (model.Dim, options.Width(model.Dim));
        bool bias = options.Bias ?? model.Bias;
        Activation activation = Activation.Of(options.Activation);
        PartCost Layer(int hidden) => PartCost.Linear(dim, activation.InputWidth(hidden), bias) + PartCost.Linear(hidden, dim, bias);

        PartCost expert = Layer(width), used = options.Active * expert;
        PartCost router = PartCost.Linear(dim, options.Experts, bias: false);
        PartCost always = router + (options.Shared > 0 ? Layer(options.Shared * width) : default);
        return (used + always) with
        {
            // All experts are learned; a token is multiplied with its active ones.
            Parameters = always.Parameters + options.Experts * expert.Parameters,
            IdleParameters = (options.Experts - options.Active) * expert.Parameters,
        };
    }
}
