// Shapes: N tokens, K active experts of each, M = N·K choices, C model dimension, F hidden dimension, E experts.
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>All experts' matrices: <c>gateUp</c> (E, 2F, C), or <c>up</c> (E, F, C) without a gate; <c>down</c> (E, C, F).</summary>
/// <remarks>Biases are flat: their rank tells initialisation and weight decay that they are no matrices.</remarks>
internal sealed class ExpertBank : nn.Module, IJoinsResidual, IMasterWeights, IFusesMatrices
{
    private const string Down = "down", DownBias = "downBias";
    private readonly string up, upBias;
    private readonly Activation activation;
    private readonly ComputeWeight upCopy;
    private readonly ComputeWeight downCopy;
    private readonly ScalarType computeType;

    public ExpertBank(StackContext stack, ExpertsOptions options)
        : base(nameof(ExpertBank))
    {
        (int experts, int width) = (options.Experts, options.Width(stack.Dim));
        activation = Activation.Of(options.Activation);
        computeType = stack.ComputeType;
        (upCopy, downCopy) = (new(computeType), new(computeType));
        int rows = activation.InputWidth(width);
        bool bias = options.Bias ?? stack.Bias;
        up = activation.Gated ? "gateUp" : "up";
        upBias = $"{up}Bias";
        register_parameter(up, new Parameter(empty(experts, rows, stack.Dim)));
        if (bias) register_parameter(upBias, new Parameter(zeros(experts * rows)));
        register_parameter(Down, new Parameter(empty(experts, stack.Dim, width)));
        if (bias) register_parameter(DownBias, new Parameter(zeros(experts * stack.Dim)));
    }

    public string? JoiningWeight => Down;

    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices => activation.Gated
        ? [(up, [new(DownWeight.size(-1)), new(DownWeight.size(-1))])]
        : [];

    // Not fields: a move to another device makes new parameters, and TorchSharp only replaces fields that have a parameter's own name.
    private Parameter UpWeight => get_parameter(up)!;

    private Parameter DownWeight => get_parameter(Down)!;

    /// <summary>Runs each expert on its <paramref name="counts"/> rows, (M, C) sorted by expert → (M, C) in the compute type.</summary>
    public Tensor Run(Tensor rows, long[] counts)
    {
        // Unbound once, not selected expert by expert, as each selection would fill a gradient of the whole stack.
        LinearWeight[] ups = OfEach(UpWeight, upCopy, get_parameter(upBias)); // E · (2F, C)
        LinearWeight[] downs = OfEach(DownWeight, downCopy, get_parameter(DownBias)); // E · (C, F)
        Tensor[] parts = rows.split(counts);
        List<Tensor> results = [];
        for (int expert = 0; expert < counts.Length; expert++)
        {
            if (counts[expert] == 0) continue;
            Tensor hidden = activation.Apply(MixedLinear.Apply(parts[expert], ups[expert], computeType)); // (m, C) → (m, 2F) → (m, F)
            results.Add(MixedLinear.Apply(hidden, downs[expert], computeType)); // (m, F) → (m, C)
        }
        return cat(results, 0);
    }

    public void DropMasterWeights()
    {
        InferenceWeight.Replace(UpWeight, computeType);
        InferenceWeight.Replace(DownWeight, computeType);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            upCopy.Dispose();
            downCopy.Dispose();
        }
        base.Dispose(disposing);
    }

    private static LinearWeight[] OfEach(Parameter stack, ComputeWeight copy, Parameter? bias)
    {
        Tensor multiplied = MixedLinear.Multiplied(stack, copy);
        Tensor[] weights = stack.unbind(0), rounded = ReferenceEquals(multiplied, stack) ? weights : multiplied.unbind(0);
        Tensor[]? biases = bias?.view(stack.shape[0], -1).unbind(0);
        return [.. weights.Select((weight, expert) => new LinearWeight(weight, rounded[expert], biases?[expert]))];
    }
}

/// <summary>Choices sorted by expert, then by token: the choice at each place and the place of each choice, (N·K), int64.</summary>
internal readonly record struct ExpertOrder(Tensor Order, Tensor Places, long[] Counts)
{
    public static ExpertOrder Of(Tensor chosen, int experts) // (N, K), int64
    {
        Tensor choices = chosen.reshape(-1); // (N, K) → (N·K)
        Tensor order = choices.sort(0, stable: true).Indices;
        Tensor places = empty_like(order).scatter(0, order, arange(order.shape[0], device: order.device));
        long[] counts = choices.bincount(null, minlength: experts).cpu().data<long>().ToArray();
        return new(order, places, counts);
    }
}
