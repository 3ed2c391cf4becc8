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

    internal override double MomentsPerParameter => 1;

    /// <inheritdoc/>
    public override Optimizer Build(IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        IReadOnlyList<HiddenMatrix>? matrices = null) => new Lion(this, parameters, threads);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => DecayRates.Check(Betas, example: "[0.9, 0.99]");
}

/// <summary>One moment a parameter, under the name in the authors' code.</summary>
internal sealed class Lion : Optimizer
{
    private readonly LionOptions options;
    private readonly ParameterState[] states;

    public Lion(LionOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null)
        : base(parameters, threads)
    {
        this.options = options;
        states =
        [
            .. Groups.Decayed.Select(parameter => NewParameterState(parameter, options.WeightDecay)),
            .. Groups.Plain.Select(parameter => NewParameterState(parameter, weightDecay: 0)),
        ];
    }

    public override IReadOnlyList<string> Description => Groups.Describe(options.WeightDecay);

    public override IEnumerable<(string Name, Tensor Value)> State => states.Select(state => ($"{state.Name}.exp_avg", state.Average));

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        foreach (ParameterState state in states)
            if (share.Contains(state.Parameter) && state.Parameter.grad is { } gradient)
                Unless(skip, [state.Parameter, state.Average], () => Move(state, gradient, learningRate));
    }

    private void Move(ParameterState state, Tensor gradient, double learningRate)
    {
        using var scope = NewDisposeScope();
        if (state.WeightDecay != 0) state.Parameter.mul_(1 - learningRate * state.WeightDecay);
        state.Parameter.add_(state.Average.lerp(gradient, 1 - options.Betas[0]).sign_(), alpha: -learningRate);
        state.Average.lerp_(gradient, 1 - options.Betas[1]);
    }

    private static ParameterState NewParameterState((string Name, Parameter Value) parameter, double weightDecay) =>
        new(parameter.Name, parameter.Value, NewState(parameter.Value.shape, parameter.Value.device), weightDecay);

    private sealed record ParameterState(string Name, Parameter Parameter, Tensor Average, double WeightDecay);
}
