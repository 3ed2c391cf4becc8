using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>Schedule-free AdamW (Defazio et al. 2024, arXiv 2405.15682): an average of the weights takes the place of a schedule that
/// falls, so that a run has no end it must know. Made for the schedule <c>constant</c> with a warm-up.</summary>
/// <remarks>Training sees weights y between the average x and the iterate z; evaluations, samples and checkpoints have x.</remarks>
public sealed record ScheduleFreeOptions : OptimizerOptions, IValidated
{
    /// <summary>Sets the learning rate's default, the authors' own.</summary>
    public ScheduleFreeOptions() => LearningRate = 2.5e-3;

    /// <summary>How far y is from z to x, and the decay rate of the running mean of the gradient's square.</summary>
    [Description("How far the weights in training are on the way to their average, above 0, and the decay rate of the running mean of " +
        "the gradient's square.")]
    public IReadOnlyList<double> Betas { get; init; } = [0.9, 0.95];

    /// <summary>Share of each matrix, times the learning rate, taken away every step; rank 0 and 1 never decay.</summary>
    [Description("Weight decay of matrices; parameters of rank below 2 (norms, biases) never decay.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Added to the denominator.</summary>
    [Description("Added to the denominator of the update.")]
    [Range(0.0, 1.0)]
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>A step weighs in the average by its number to this power.</summary>
    [Description("A step weighs in the average by its number to this power, times the highest learning rate so far, squared; 0: all " +
        "alike after the warm-up.")]
    [Range(0.0, 100.0)]
    public double AveragePower { get; init; }

    private protected override Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout) =>
        new ScheduleFree(this, parameters, threads, layout);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in DecayRates.Check(Betas, example: "[0.9, 0.95]")) yield return problem;
        if (Betas is [0, _])
            yield return new("betas.0", "is 0; it must be above 0, as the average could not be told from the weights in training");
    }
}

/// <summary>The parameters hold y in training, and x while <see cref="UseAverages"/> lasts. State names are those of the authors' code;
/// <c>y</c> is in a checkpoint besides, as x in model.safetensors does not give back its bits.</summary>
internal sealed class ScheduleFree : Optimizer
{
    private readonly ScheduleFreeOptions options;
    private readonly IReadOnlyList<ParameterGroup> groups;
    private readonly ParameterState[] states;
    private SetAside? trained;

    public ScheduleFree(
        ScheduleFreeOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        ParameterLayout? layout = null)
        : base(parameters, threads)
    {
        this.options = options;
        groups = ParameterGroups.Of(parameters, options, options.WeightDecay, layout);
        states = [.. groups.SelectMany(group => group.Parameters.Select(parameter => ParameterState.Of(parameter, group)))];
    }

    public override IReadOnlyList<string> Description => groups.Describe();

    public override IEnumerable<(string Name, Tensor Value)> State =>
        states.SelectMany((state, index) => state.Tensors.Prepend(($"{state.Name}.y", trained?[index] ?? state.Parameter)));

    internal override IEnumerable<Tensor> Owned => states.SelectMany(state => state.Tensors).Select(tensor => tensor.Value);

    internal override IDisposable? UseAverages()
    {
        if (trained is not null) return null;
        using DisposeScope scope = NewDisposeScope();
        using IDisposable unrecorded = no_grad();
        trained = new SetAside([.. states.Select(state => state.Parameter)], () => trained = null);
        // y = (1 − β₁)·z + β₁·x
        foreach (ParameterState state in states) state.Parameter.lerp_(state.Iterate, 1 - 1 / options.Betas[0]);
        return trained;
    }

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        if (trained is not null) throw new InvalidOperationException("the parameters hold averages, with which no step is taken");
        foreach (ParameterState state in states)
            if (share.Contains(state.Parameter) && state.Parameter.grad is { } gradient)
                Unless(skip, [state.Parameter, .. state.Tensors.Select(tensor => tensor.Value)],
                    () => Move(state, gradient, learningRate * state.Group.Rate));
    }

    private void Move(ParameterState state, Tensor gradient, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        (double beta1, double beta2) = (options.Betas[0], options.Betas[1]);
        Tensor step = state.Step.add_(1).to(ScalarType.Float64);
        Tensor highest = state.HighestRate.clamp_min_(learningRate);
        Tensor weight = step.pow(options.AveragePower).mul_(highest.square());
        Tensor share = weight.div_(state.WeightSum.add_(weight)).nan_to_num_(0); // of this step in the average
        Tensor correction = full([], beta2, ScalarType.Float64, step.device).pow(step).neg_().add_(1);

        state.AverageSquare.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
        Tensor update = gradient.div(state.AverageSquare.div(correction.to(ScalarType.Float32)).sqrt_().add_(options.Epsilon));
        if (state.Group.WeightDecay != 0) update.add_(state.Parameter, alpha: state.Group.WeightDecay);

        Tensor inTraining = share.mul(-beta1).add_(beta1 - 1).mul_(learningRate); // α·(β₁·(1 − c) − 1)
        state.Parameter.lerp_(state.Iterate, share.to(ScalarType.Float32));
        state.Parameter.add_(update.mul(inTraining.to(ScalarType.Float32)));
        state.Iterate.add_(update, alpha: -learningRate);
    }

    private sealed record ParameterState(
        string Name, Parameter Parameter, Tensor Iterate, Tensor AverageSquare, Tensor Step, Tensor HighestRate, Tensor WeightSum,
        ParameterGroup Group)
    {
        public IEnumerable<(string Name, Tensor Value)> Tensors =>
        [
            ($"{Name}.z", Iterate), ($"{Name}.exp_avg_sq", AverageSquare), ($"{Name}.step", Step), ($"{Name}.lr_max", HighestRate),
            ($"{Name}.weight_sum", WeightSum),
        ];

        public static ParameterState Of((string Name, Parameter Value) parameter, ParameterGroup group)
        {
            Device device = parameter.Value.device;
            return new(
                parameter.Name,
                parameter.Value,
                parameter.Value.detach().clone().DetachFromDisposeScope(),
                NewState(parameter.Value.shape, device),
                NewState([], device),
                NewState([], device, ScalarType.Float64),
                NewState([], device, ScalarType.Float64),
                group);
        }
    }
}
