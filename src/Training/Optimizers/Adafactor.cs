// Shapes: (…, R, C) a parameter of rank 2 or more with R rows and C columns.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>Adafactor without momentum (Shazeer and Stern 2018, arXiv 1804.04235, algorithms 4 and 5), as PyTorch's.</summary>
/// <remarks>A matrix keeps means of squared gradients by row and by column only, and steps are relative to its own size.</remarks>
public sealed record AdafactorOptions : OptimizerOptions
{
    // As for PyTorch's eps1: one step of float32.
    internal const double SmallestSquare = 1.1920928955078125e-07;

    /// <summary>Sets the learning rate's default: the paper's largest relative step.</summary>
    public AdafactorOptions() => LearningRate = 1e-2;

    /// <inheritdoc/>
    public override bool NeedsWholeMatrices => true;

    /// <summary>How fast the means of squares lengthen: the decay rate of step t is 1 − t^this.</summary>
    [Description("How fast the means of squared gradients lengthen: step t mixes in t to this power of the new square.")]
    [Range(-10.0, 0.0, MaximumIsExclusive = true)]
    public double DecayPower { get; init; } = -0.8;

    /// <summary>The least size that a parameter's relative step is taken of.</summary>
    [Description("The least root mean square of a parameter that its relative step is taken of.")]
    [Range(0.0, 1.0)]
    public double MinimumScale { get; init; } = 1e-3;

    /// <summary>The root mean square that an update is clipped to.</summary>
    [Description("The root mean square, in parts of the learning rate, that a parameter's update is clipped to.")]
    [Range(0.0, double.MaxValue, MinimumIsExclusive = true)]
    public double ClipThreshold { get; init; } = 1;

    /// <summary>Share of each matrix, times the learning rate, taken away every step; rank 0 and 1 never decay.</summary>
    [Description("Weight decay of matrices; parameters of rank below 2 (norms, biases) never decay.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; }

    // Rows and columns of matrices, which are few.
    private protected override double Moments(ParameterCounts parameters) => 0;

    private protected override Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout) =>
        new Adafactor(this, parameters, threads, layout);
}

/// <summary>Factored second moments. State names are PyTorch's.</summary>
internal sealed class Adafactor : Optimizer
{
    private readonly AdafactorOptions options;
    private readonly IReadOnlyList<ParameterGroup> groups;
    private readonly ParameterState[] states;

    public Adafactor(
        AdafactorOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        ParameterLayout? layout = null)
        : base(parameters, threads)
    {
        this.options = options;
        groups = ParameterGroups.Of(parameters, options, options.WeightDecay, layout);
        states = [.. groups.SelectMany(group => group.Parameters.Select(parameter => ParameterState.Of(parameter, group)))];
    }

    public override IReadOnlyList<string> Description => groups.Describe();

    public override IEnumerable<(string Name, Tensor Value)> State => states.SelectMany(state => state.Tensors);

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        foreach (ParameterState state in states)
            if (share.Contains(state.Parameter) && state.Parameter.grad is { } gradient)
                Unless(skip, [state.Parameter, .. state.Tensors.Select(tensor => tensor.Value)],
                    () => Move(state, gradient, learningRate * state.Group.Rate));
    }

    // Scalars that depend on the data stay on the device.
    private void Move(ParameterState state, Tensor gradient, double learningRate)
    {
        using var scope = NewDisposeScope();
        Tensor step = state.Step.add_(1).to(ScalarType.Float64);
        Tensor rate = step.rsqrt().clamp_max(learningRate).mul_(RootMeanSquare(state.Parameter).clamp_min(options.MinimumScale));
        if (state.Group.WeightDecay != 0) state.Parameter.mul_(1 - learningRate * state.Group.WeightDecay);

        Tensor update = MeanSquare(state, gradient, step.pow(options.DecayPower).to(ScalarType.Float32));
        update.clamp_min_(AdafactorOptions.SmallestSquare * AdafactorOptions.SmallestSquare).rsqrt_().mul_(gradient);
        Tensor excess = RootMeanSquare(update).div_(options.ClipThreshold).clamp_min(1);
        state.Parameter.sub_(update.mul_(rate.div_(excess).to(ScalarType.Float32)));
    }

    // The running mean of squared gradients, in a new tensor; fresh is the share of the new ones.
    private static Tensor MeanSquare(ParameterState state, Tensor gradient, Tensor fresh)
    {
        Tensor square = gradient.square();
        if (state.Rows is not { } rows || state.Columns is not { } columns) return state.Variance!.lerp_(square, fresh).clone();

        rows.lerp_(square.mean([-1], keepdim: true), fresh); // (…, R, C) → (…, R, 1)
        columns.lerp_(square.mean([-2], keepdim: true), fresh); // (…, R, C) → (…, 1, C)
        return rows.mul(columns).div_(rows.mean([-2], keepdim: true).clamp_min(AdafactorOptions.SmallestSquare)); // (…, R, C)
    }

    private static Tensor RootMeanSquare(Tensor values) => values.detach().square().mean().to(ScalarType.Float64).sqrt_();

    private sealed record ParameterState(
        string Name, Parameter Parameter, Tensor? Rows, Tensor? Columns, Tensor? Variance, Tensor Step, ParameterGroup Group)
    {
        public IEnumerable<(string Name, Tensor Value)> Tensors
        {
            get
            {
                if (Rows is not null) yield return ($"{Name}.row_var", Rows);
                if (Columns is not null) yield return ($"{Name}.col_var", Columns);
                if (Variance is not null) yield return ($"{Name}.variance", Variance);
                yield return ($"{Name}.step", Step);
            }
        }

        public static ParameterState Of((string Name, Parameter Value) parameter, ParameterGroup group)
        {
            (long[] shape, Device device) = (parameter.Value.shape, parameter.Value.device);
            bool factored = shape.Length >= 2;
            return new(
                parameter.Name,
                parameter.Value,
                factored ? NewState([.. shape[..^1], 1], device) : null,
                factored ? NewState([.. shape[..^2], 1, shape[^1]], device) : null,
                factored ? null : NewState(shape, device),
                NewState([], device),
                group);
        }
    }
}
