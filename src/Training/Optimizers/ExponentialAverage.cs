using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>An exponential moving average of the weights (Polyak and Juditsky 1992; as used for language models, Li et al. 2025, arXiv
/// 2505.12082). Evaluations, samples and checkpoints have the average; training does not see it.</summary>
public sealed record AverageOptions
{
    /// <summary>What remains of the average each step.</summary>
    [Description("What remains of the average each step; in the first steps (1 + step) / (10 + step) where that is less, so that the " +
        "first weights are forgotten.")]
    [Range(0.0, 1.0, MinimumIsExclusive = true, MaximumIsExclusive = true)]
    public double Decay { get; init; } = 0.999;
}

/// <summary>Averages the weights that another optimizer trains. The average of each is in model.safetensors; a checkpoint has the weights in
/// training besides, as <c>trained</c>.</summary>
internal sealed class ExponentialAverage : Optimizer
{
    private readonly AverageOptions options;
    private readonly Optimizer trains;
    private readonly Parameter[] parameters;
    private readonly ParameterState[] states;
    private SetAside? trained;

    public ExponentialAverage(
        AverageOptions options, Optimizer trains, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads)
        : base(parameters, threads)
    {
        (this.options, this.trains) = (options, trains);
        this.parameters = [.. parameters.Select(parameter => parameter.Value)];
        states = [.. parameters.Select(ParameterState.Of)];
    }

    public override IReadOnlyList<string> Description =>
        [.. trains.Description, $"evaluated and kept: the exponential average of the weights, decay {options.Decay}"];

    public override IEnumerable<(string Name, Tensor Value)> State =>
    [
        .. trains.State,
        .. states.Select((state, index) => ($"{state.Name}.trained", trained?[index] ?? parameters[index])),
        .. states.Select(state => ($"{state.Name}.average_step", state.Step)),
    ];

    internal override IEnumerable<Tensor> Owned => [.. trains.Owned, .. states.SelectMany(state => state.Tensors)];

    internal override void BeginLoad()
    {
        using IDisposable unrecorded = no_grad();
        for (int i = 0; i < states.Length; i++) states[i].Average.copy_(parameters[i]);
    }

    internal override IDisposable? UseAverages()
    {
        if (trained is not null) return null;
        using DisposeScope scope = NewDisposeScope();
        using IDisposable unrecorded = no_grad();
        trained = new SetAside(parameters, () => trained = null);
        for (int i = 0; i < states.Length; i++) parameters[i].copy_(states[i].Average);
        return trained;
    }

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        if (trained is not null) throw new InvalidOperationException("the parameters hold averages, with which no step is taken");
        trains.Update(share, learningRate, skip);
        foreach ((Parameter parameter, ParameterState state) in parameters.Zip(states))
            if (share.Contains(parameter)) Unless(skip, [.. state.Tensors], () => Follow(state, parameter));
    }

    private void Follow(ParameterState state, Parameter parameter)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor step = state.Step.add_(1);
        Tensor remains = step.add(1).div_(step.add(10)).clamp_max_(options.Decay);
        state.Average.lerp_(parameter, remains.neg_().add_(1));
    }

    private sealed record ParameterState(string Name, Tensor Average, Tensor Step)
    {
        public IEnumerable<Tensor> Tensors => [Average, Step];

        public static ParameterState Of((string Name, Parameter Value) parameter) => new(
            parameter.Name, parameter.Value.detach().clone().DetachFromDisposeScope(), NewState([], parameter.Value.device));
    }
}
