using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>Stochastic gradient descent with momentum (Sutskever et al. 2013), as PyTorch's.</summary>
public sealed record SgdOptions : OptimizerOptions, IValidated
{
    /// <summary>What remains of the momentum each step; 0 for none.</summary>
    [Description("What remains of the momentum each step; 0: no momentum.")]
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public double Momentum { get; init; } = 0.9;

    /// <summary>Whether the step looks ahead by the momentum (Nesterov 1983).</summary>
    [Description("Whether the step looks ahead by the momentum (Nesterov).")]
    public bool Nesterov { get; init; }

    /// <summary>Share of each matrix that is added to its gradient; rank 0 and 1 never decay.</summary>
    [Description("Share of each matrix that is added to its gradient; parameters of rank below 2 (norms, biases) never decay.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; }

    private protected override double Moments(ParameterCounts parameters) => Momentum == 0 ? 0 : parameters.All;

    private protected override Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout) =>
        new Sgd(this, parameters, threads, layout);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Nesterov && Momentum == 0)
            yield return new("nesterov", "is true, but momentum is 0, so that there is nothing to look ahead by; set it to false");
    }
}

/// <summary>libtorch's fused operator. State names are PyTorch's; without momentum there is no state.</summary>
internal sealed class Sgd : Optimizer
{
    private readonly SgdOptions options;
    private readonly IReadOnlyList<ParameterGroup> groups;
    private readonly ILookup<ParameterGroup, ParameterState> states;

    public Sgd(
        SgdOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        ParameterLayout? layout = null)
        : base(parameters, threads)
    {
        this.options = options;
        groups = ParameterGroups.Of(parameters, options, options.WeightDecay, layout);
        states = groups.SelectMany(group => group.Parameters.Select(parameter => (Group: group, State: NewParameterState(parameter))))
            .ToLookup(entry => entry.Group, entry => entry.State);
    }

    public override IReadOnlyList<string> Description => groups.Describe();

    public override IEnumerable<(string Name, Tensor Value)> State =>
        from parameters in groups
        from state in states[parameters]
        where state.Momentum is not null
        select ($"{state.Name}.momentum_buffer", state.Momentum);

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

        FusedSgd.Step(
            [.. moving.Select(m => m.State.Parameter)],
            [.. moving.Select(m => m.Gradient)],
            [.. moving.Select(m => m.State.Momentum).OfType<Tensor>()],
            learningRate, options.Momentum, weightDecay, options.Nesterov, foundInfinite: skip);
    }

    private ParameterState NewParameterState((string Name, Parameter Value) parameter) => new(
        parameter.Name,
        parameter.Value,
        options.Momentum == 0 ? null : NewState(parameter.Value.shape, parameter.Value.device));

    private sealed record ParameterState(string Name, Parameter Parameter, Tensor? Momentum);
}
