using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101), decay on matrices only.</summary>
public sealed record AdamWOptions : OptimizerOptions, IValidated
{
    /// <summary>Decay rates of the running means of the gradient and of its square.</summary>
    [Description("Decay rates of the running means of the gradient and of its square.")]
    public IReadOnlyList<double> Betas { get; init; } = [0.9, 0.95];

    /// <summary>Share of each matrix, times the learning rate, taken away every step; rank 0 and 1 never decay.</summary>
    [Description("Weight decay of matrices; parameters of rank below 2 (norms, biases) never decay.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Added to the denominator.</summary>
    [Description("Added to the denominator of the update.")]
    [Range(0.0, 1.0)]
    public double Epsilon { get; init; } = 1e-8;

    private protected override Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout) =>
        MomentPrecision == MomentPrecision.Int8
            ? new AdamW8Bit(this, parameters, threads, layout)
            : new AdamW(this, parameters, threads, layout);

    /// <summary>How the moments of matrices and head are kept.</summary>
    [Description("How the moments of matrices and head are kept: int8 takes a quarter of the memory (8 bits, in blocks of 256 numbers); " +
        "small tensors and embeddings have float32 all the same.")]
    public MomentPrecision MomentPrecision { get; init; } = MomentPrecision.Float32;

    /// <summary>Parameters of fewer numbers have moments of float32. No setting, for no recipe gains by another one: tests, whose tensors
    /// are small, lower it.</summary>
    internal int FewestNumbers { get; init; } = 4096;

    // A share of a parameter would cut through blocks.
    /// <inheritdoc/>
    public override bool NeedsWholeMatrices => MomentPrecision == MomentPrecision.Int8;

    internal override bool NeedsWhole(ParameterRole role, long numbers) => NeedsWholeMatrices && AdamW8Bit.Rounds(this, role, numbers);

    private protected override double Moments(ParameterCounts parameters)
    {
        double perNumber = MomentPrecision == MomentPrecision.Int8 ? AdamW8Bit.MomentsPerNumber : 2;
        return 2.0 * parameters.Embeddings + perNumber * (parameters.Matrices + parameters.Head);
    }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => DecayRates.Check(Betas, example: "[0.9, 0.95]");
}

/// <summary>How an optimizer keeps its moments.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MomentPrecision>))]
public enum MomentPrecision
{
    /// <summary>4 bytes a number.</summary>
    [JsonStringEnumMemberName("float32")]
    Float32,

    /// <summary>1 byte a number, and a scale for 256 of them.</summary>
    [JsonStringEnumMemberName("int8")]
    Int8,
}

/// <summary>Fused AdamW on float32 master weights: one kernel for all tensors of a group. State names are PyTorch's.</summary>
internal sealed class AdamW : Optimizer
{
    private readonly AdamWOptions options;
    private readonly IReadOnlyList<ParameterGroup> groups;
    private readonly ILookup<ParameterGroup, ParameterState> states;

    public AdamW(
        AdamWOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        ParameterLayout? layout = null)
        : base(parameters, threads)
    {
        this.options = options;
        groups = ParameterGroups.Of(parameters, options, options.WeightDecay, layout);
        states = groups.SelectMany(group => group.Parameters.Select(parameter => (Group: group, State: ParameterState.Of(parameter))))
            .ToLookup(entry => entry.Group, entry => entry.State);
    }

    public override IReadOnlyList<string> Description => groups.Describe();

    public override IEnumerable<(string Name, Tensor Value)> State =>
        groups.SelectMany(group => states[group]).SelectMany(state => state.Tensors);

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        foreach (ParameterGroup group in groups)
            Update(states[group].Where(state => share.Contains(state.Parameter)), learningRate * group.Rate, group.WeightDecay, skip);
    }

    private void Update(IEnumerable<ParameterState> states, double learningRate, double weightDecay, Tensor skip)
    {
        using DisposeScope scope = NewDisposeScope();
        List<(ParameterState State, Tensor Gradient)> moving = [];
        foreach (ParameterState state in states)
            if (state.Parameter.grad is { } gradient) moving.Add((state, gradient));
        if (moving.Count == 0) return;

        FusedAdamW.Step(
            [.. moving.Select(m => m.State.Parameter)],
            [.. moving.Select(m => m.Gradient)],
            [.. moving.Select(m => m.State.Average)],
            [.. moving.Select(m => m.State.AverageSquare)],
            [.. moving.Select(m => m.State.Steps)],
            learningRate, options.Betas[0], options.Betas[1], weightDecay, options.Epsilon, foundInfinite: skip);
    }

    private sealed record ParameterState(string Name, Parameter Parameter, Tensor Average, Tensor AverageSquare, Tensor Steps)
    {
        public IEnumerable<(string Name, Tensor Value)> Tensors =>
            [($"{Name}.exp_avg", Average), ($"{Name}.exp_avg_sq", AverageSquare), ($"{Name}.step", Steps)];

        public static ParameterState Of((string Name, Parameter Value) parameter) => new(
            parameter.Name,
            parameter.Value,
            NewState(parameter.Value.shape, parameter.Value.device),
            NewState(parameter.Value.shape, parameter.Value.device),
            NewState([], parameter.Value.device));
    }
}
