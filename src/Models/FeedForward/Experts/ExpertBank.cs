// Shapes: M choices, C model dimension, F hidden dimension, E experts.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>The matrices of all experts of a layer, stacked.</summary>
/// <remarks>Weights: <c>gateUp</c> (E, 2F, C), in plain activations <c>up</c> (E, F, C); <c>down</c> (E, C, F). Biases are flat, (E·2F), (E·F)
/// and (E·C), because their rank tells initialisation and weight decay that they are no matrices.</remarks>
internal sealed class ExpertBank : nn.Module, IJoinsResidual, IRoundsWeights
{
    private const string Down = "down", DownBias = "downBias";
    private readonly string up, upBias;
    private readonly Activation activation;
    private readonly ComputeWeight firstRounded;
    private readonly ComputeWeight secondRounded;
    private readonly ScalarType computeType;

    public ExpertBank(ModelParts parts, ExpertsOptions options)
        : base(nameof(ExpertBank))
    {
        (int experts, int width) = (options.Experts, options.Width(parts.Dim));
        activation = Activation.Of(options.Activation);
        computeType = parts.ComputeType;
        (firstRounded, secondRounded) = (new(computeType), new(computeType));
        int rows = activation.InputWidth(width);
        bool bias = options.Bias ?? parts.Bias;
        up = activation.Gated ? "gateUp" : "up";
        upBias = $"{up}Bias";
        register_parameter(up, new Parameter(empty(experts, rows, parts.Dim)));
        if (bias) register_parameter(upBias, new Parameter(zeros(experts * rows)));
        register_parameter(Down, new Parameter(empty(experts, parts.Dim, width)));
        if (bias) register_parameter(DownBias, new Parameter(zeros(experts * parts.Dim)));
    }

    /// <inheritdoc/>
    public string? JoiningWeight => Down;

    // Not fields: a move to another device makes new parameters, and TorchSharp only replaces fields that have a parameter's own name.
    private Parameter First => get_parameter(up)!;

    private Parameter Second => get_parameter(Down)!;

    /// <summary>Each expert on its own rows.</summary>
    /// <param name="rows">(M, C), sorted by expert.</param>
    /// <param name="counts">Rows of each expert, E numbers that add up to M.</param>
    /// <returns>(M, C), in the compute type.</returns>
    public Tensor Run(Tensor rows, long[] counts)
    {
        // Taken apart once, not expert by expert: each selection would fill a gradient of the whole stack.
        LinearWeight[] ups = OfEach(First, firstRounded, get_parameter(upBias)); // E · (2F, C)
        LinearWeight[] downs = OfEach(Second, secondRounded, get_parameter(DownBias)); // E · (C, F)
        Tensor[] parts = rows.split(counts);
        List<Tensor> results = [];
        for (int expert = 0; expert < counts.Length; expert++)
        {
            if (counts[expert] == 0) continue;
            Tensor hidden = activation.Apply(CastLinear.Apply(parts[expert], ups[expert], computeType)); // (m, C) → (m, 2F) → (m, F)
            results.Add(CastLinear.Apply(hidden, downs[expert], computeType)); // (m, F) → (m, C)
        }
        return cat(results, 0);
    }

    /// <inheritdoc/>
    public void RoundWeights()
    {
        InferenceWeight.Replace(First, computeType);
        InferenceWeight.Replace(Second, computeType);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            firstRounded.Dispose();
            secondRounded.Dispose();
        }
        base.Dispose(disposing);
    }

    private static LinearWeight[] OfEach(Parameter stack, ComputeWeight copy, Parameter? bias)
    {
        Tensor multiplied = CastLinear.Multiplied(stack, copy);
        Tensor[] weights = stack.unbind(0), rounded = ReferenceEquals(multiplied, stack) ? weights : multiplied.unbind(0);
        Tensor[]? biases = bias?.view(stack.shape[0], -1).unbind(0);
        return [.. weights.Select((weight, expert) => new LinearWeight(weight, rounded[expert], biases?[expert]))];
    }
}
