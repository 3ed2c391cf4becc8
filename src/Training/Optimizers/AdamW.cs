using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Fused AdamW on float32 master weights: one kernel for all tensors of a group.</summary>
/// <remarks>State names are PyTorch's (<c>exp_avg</c>, <c>exp_avg_sq</c>, <c>step</c>) behind the parameter's name.</remarks>
public sealed class AdamW : Optimizer
{
    private readonly AdamWOptions options;
    private readonly Slot[] decayed;
    private readonly Slot[] plain;

    /// <summary>Creates the optimizer with zero state, on the parameters' device.</summary>
    /// <param name="options">Rates and decay.</param>
    /// <param name="parameters">All trainable parameters with their names, each once.</param>
    public AdamW(AdamWOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters)
        : base(ParameterGroups.Of(parameters))
    {
        this.options = options;
        decayed = [.. Groups.Decayed.Select(Slot.Of)];
        plain = [.. Groups.Plain.Select(Slot.Of)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Description => Groups.Describe(options.WeightDecay);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Value)> State => decayed.Concat(plain).SelectMany(slot => slot.State);

    /// <inheritdoc/>
    public override void Step(double learningRate, Tensor skip, IReadOnlySet<Parameter>? only = null)
    {
        Step(decayed.Where(slot => only?.Contains(slot.Parameter) ?? true), learningRate, options.WeightDecay, skip);
        Step(plain.Where(slot => only?.Contains(slot.Parameter) ?? true), learningRate, 0, skip);
    }

    private void Step(IEnumerable<Slot> slots, double learningRate, double weightDecay, Tensor skip)
    {
        using DisposeScope scope = NewDisposeScope();
        (Slot Slot, Tensor Gradient)[] moving = [.. Moving(slots)];
        if (moving.Length == 0) return;

        FusedAdamW.Step(
            [.. moving.Select(m => m.Slot.Parameter)],
            [.. moving.Select(m => m.Gradient)],
            [.. moving.Select(m => m.Slot.Average)],
            [.. moving.Select(m => m.Slot.AverageSquare)],
            [.. moving.Select(m => m.Slot.Steps)],
            learningRate, options.Betas[0], options.Betas[1], weightDecay, options.Epsilon, foundInfinite: skip);
    }

    private static IEnumerable<(Slot Slot, Tensor Gradient)> Moving(IEnumerable<Slot> slots)
    {
        foreach (Slot slot in slots)
            if (slot.Parameter.grad is { } gradient)
                yield return (slot, gradient);
    }

    /// <summary>A parameter with the running means of its gradient and its square, and the count of its updates.</summary>
    private sealed record Slot(string Name, Parameter Parameter, Tensor Average, Tensor AverageSquare, Tensor Steps)
    {
        public IEnumerable<(string Name, Tensor Value)> State =>
            [($"{Name}.exp_avg", Average), ($"{Name}.exp_avg_sq", AverageSquare), ($"{Name}.step", Steps)];

        public static Slot Of((string Name, Parameter Value) parameter) => new(
            parameter.Name,
            parameter.Value,
            Zeros(parameter.Value.shape, parameter.Value.device),
            Zeros(parameter.Value.shape, parameter.Value.device),
            Zeros([], parameter.Value.device));

        private static Tensor Zeros(long[] shape, Device device) =>
            zeros(shape, dtype: ScalarType.Float32, device: device).DetachFromDisposeScope();
    }
}
