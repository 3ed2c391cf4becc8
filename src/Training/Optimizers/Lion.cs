using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>Lion: every number moves by the learning rate, in the direction of the sign (Chen et al. 2023, arXiv 2302.06675).</summary>
/// <remarks>The paper's advice: a learning rate 3 to 10 times smaller than AdamW's, and a weight decay as many times larger.</remarks>
public sealed record LionOptions : OptimizerOptions, IValidated
{
    /// <summary>Sets the learning rate's default.</summary>
    public LionOptions() => LearningRate = 3e-4;

    /// <summary>Decay rates of the mean of the gradient, in the step's direction and in what is kept.</summary>
    [Description("Decay rates of the running mean of the gradient: as the step takes it, and as it is kept.")]
    public IReadOnlyList<double> Betas { get; init; } = [0.9, 0.99];

    /// <summary>Share of each matrix, times the learning rate, taken away every step; rank 0 and 1 never decay.</summary>
    [Description("Weight decay of matrices; parameters of rank below 2 (norms, biases) never decay.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; } = 0.3;

    private protected override double Moments(ParameterCounts parameters) => parameters.All;

    private protected override Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout) =>
        new Lion(this, parameters, threads, layout);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => DecayRates.Check(Betas, example: "[0.9, 0.99]");
}

/// <summary>One moment a parameter, under the name in the authors' code.</summary>
internal sealed class Lion : Optimizer
{
    private readonly LionOptions options;
    private readonly IReadOnlyList<ParameterGroup> groups;
    private readonly ParameterState[] states;

    public Lion(
        LionOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        ParameterLayout? layout = null)
        : base(parameters, threads)
    {
        this.options = options;
        groups = ParameterGroups.Of(parameters, options, options.WeightDecay, layout);
        states = [.. groups.SelectMany(group => group.Parameters.Select(parameter => NewParameterState(parameter, group)))];
    }

    public override IReadOnlyList<string> Description => groups.Describe();

    public override IEnumerable<(string Name, Tensor Value)> State => states.Select(state => ($"{state.Name}.exp_avg", state.Average));

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        foreach (ParameterState state in states)
            if (share.Contains(state.Parameter) && state.Parameter.grad is { } gradient)
                Unless(skip, [state.Parameter, state.Average], () => Move(state, gradient, learningRate * state.Group.Rate));
    }

    private void Move(ParameterState state, Tensor gradient, double learningRate)
    {
        using var scope = NewDisposeScope();
        if (state.Group.WeightDecay != 0) state.Parameter.mul_(1 - learningRate * state.Group.WeightDecay);
        state.Parameter.add_(state.Average.lerp(gradient, 1 - options.Betas[0]).sign_(), alpha: -learningRate);
        state.Average.lerp_(gradient, 1 - options.Betas[1]);
    }

    private static ParameterState NewParameterState((string Name, Parameter Value) parameter, ParameterGroup group) =>
        new(parameter.Name, parameter.Value, NewState(parameter.Value.shape, parameter.Value.device), group);

    private sealed record ParameterState(string Name, Parameter Parameter, Tensor Average, ParameterGroup Group);
}
