// Shapes: M choices, C model dimension, F hidden dimension, E experts.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.FeedForward.Experts;

/// <summary>The matrices of all experts of a layer, stacked.</summary>
/// <remarks>Weights: <c>gateUp</c> (E, 2F, C), in plain activations <c>up</c> (E, F, C); <c>down</c> (E, C, F). Biases are flat, (E·2F), (E·F)
/// and (E·C), because their rank tells initialisation and weight decay that they are no matrices.</remarks>
internal sealed class ExpertBank : nn.Module, IJoinsResidual, IRoundsWeights
{
    private readonly Parameter first;
    private readonly Parameter? firstBias;
    private readonly Parameter second;
    private readonly Parameter? secondBias;
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
        first = new Parameter(empty(experts, rows, parts.Dim));
        firstBias = bias ? new Parameter(zeros(experts * rows)) : null;
        second = new Parameter(empty(experts, parts.Dim, width));
        secondBias = bias ? new Parameter(zeros(experts * parts.Dim)) : null;
        string name = activation.Gated ? "gateUp" : "up";
        register_parameter(name, first);
        if (firstBias is not null) register_parameter($"{name}Bias", firstBias);
        register_parameter("down", second);
        if (secondBias is not null) register_parameter("downBias", secondBias);
    }

    /// <inheritdoc/>
    public string? JoiningWeight => "down";

    /// <summary>Each expert on its own rows.</summary>
    /// <param name="rows">(M, C), sorted by expert.</param>
    /// <param name="counts">Rows of each expert, E numbers that add up to M.</param>
    /// <returns>(M, C), in the compute type.</returns>
    public Tensor Run(Tensor rows, long[] counts)
    {
        // Taken apart once, not expert by expert: each selection would fill a gradient of the whole stack.
        (LinearWeight[] ups, LinearWeight[] downs) = (OfEach(first, firstRounded, firstBias), OfEach(second, secondRounded, secondBias)); // E · (2F, C), E · (C, F)
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
        InferenceWeight.Replace(first, computeType);
        InferenceWeight.Replace(second, computeType);
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
