using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
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
        new AdamW(this, parameters, threads, layout);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => DecayRates.Check(Betas, example: "[0.9, 0.95]");
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
