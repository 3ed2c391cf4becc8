// Shapes: N tokens, K active experts of each, M = N·K choices, C model dimension, F hidden dimension, E experts.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>All experts' matrices: <c>gateUp</c> (E, 2F, C), or <c>up</c> (E, F, C) without a gate; <c>down</c> (E, C, F).</summary>
/// <remarks>Biases are flat: their rank tells initialisation and weight decay that they are no matrices.</remarks>
internal sealed class ExpertBank : nn.Module, IJoinsResidual, IMasterWeights, IFusesMatrices
{
    private const string Down = "down", DownBias = "downBias";
    private readonly string up, upBias;
    private readonly Activation activation;
    private readonly ExpertMatrix[] matrices;
    private readonly ComputeWeight upCopy;
    private readonly ComputeWeight downCopy;
    private readonly ScalarType computeType;
    private ExpertAdapters? adapter;

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
        matrices = [new(this, up, rows, stack.Dim), new(this, Down, stack.Dim, width)];
    }

    /// <summary>What adapters can stand beside.</summary>
    public IReadOnlyList<ExpertMatrix> Matrices => matrices;

    public string? JoiningWeight => Down;

    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices => activation.Gated
        ? [(up, [new(DownWeight.size(-1)) { Name = "gate" }, new(DownWeight.size(-1)) { Name = "up" }])]
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
        AdaptedPass? adaptedUp = matrices[0].Begin(computeType), adaptedDown = matrices[1].Begin(computeType);
        Tensor[] parts = rows.split(counts);
        List<Tensor> results = [];
        for (int expert = 0; expert < counts.Length; expert++)
        {
            if (counts[expert] == 0) continue;
            Tensor hidden = activation.Apply(Product(parts[expert], ups[expert], expert, adaptedUp)); // (m, C) → (m, 2F) → (m, F)
            results.Add(Product(hidden, downs[expert], expert, adaptedDown)); // (m, F) → (m, C)
        }
        return cat(results, 0);
    }

    /// <summary>Registers a matrix's adapters, which have names of their own, under one.</summary>
    internal void Register(LinearAdapter beside)
    {
        if (adapter is null) register_module(nameof(adapter), adapter = new());
        foreach ((string part, nn.Module update) in beside.named_children()) adapter.register_module(part, update);
        adapter.train(training);
    }

    public void DropMasterWeights()
    {
        InferenceWeight.Replace(UpWeight, computeType);
        InferenceWeight.Replace(DownWeight, computeType);
    }

    /// <summary>Keeps weights that are not trained in bfloat16 or, on the CPU, in blocks of 8 bits.</summary>
    /// <exception cref="Configuration.UserException">Rows do not divide into blocks.</exception>
    public void Freeze(ScalarType storage)
    {
        foreach (ExpertMatrix matrix in matrices.Where(matrix => matrix.Freezes)) InferenceWeight.Replace(matrix.Weight, storage);
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

    private Tensor Product(Tensor x, LinearWeight weight, int expert, AdaptedPass? adapted)
    {
        Tensor result = MixedLinear.IsKept(weight.Weight, computeType)
            ? FrozenLinear.Apply(x, weight.Weight, weight.Bias, computeType)
            : MixedLinear.Apply(x, weight, computeType);
        return adapted is null ? result : adapted.Apply(result, x, weight, expert);
    }

    private LinearWeight[] OfEach(Parameter stack, ComputeWeight copy, Parameter? bias)
    {
        Tensor multiplied = MixedLinear.IsKept(stack, computeType) ? stack : MixedLinear.Multiplied(stack, copy);
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
        long[] counts = choices.cpu().bincount(null, minlength: experts).data<long>().ToArray(); // CUDA's is not deterministic
        return new(order, places, counts);
    }
}
