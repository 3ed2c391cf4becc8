using TorchSharp.Modules;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Transformers.Precision;

/// <summary>A linear layer with float32 weights that multiplies in the model's compute type.</summary>
/// <remarks>In bfloat16 the weight is rounded anew at each use and its gradient arrives in float32: the optimizer only ever
/// sees the float32 master weight, without which steps smaller than a weight's rounding would be lost.</remarks>
internal sealed class CastLinear : nn.Module<Tensor, Tensor>, IJoinsResidual
{
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly ScalarType computeType;

    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="bias">Whether a bias is added.</param>
    /// <param name="computeType">Type of the product and the result.</param>
    /// <param name="joinsResidual">Whether the result is added to the residual stream.</param>
    public CastLinear(int inputs, int outputs, bool bias, ScalarType computeType, bool joinsResidual = false)
        : base(nameof(CastLinear))
    {
        this.computeType = computeType;
        JoiningWeight = joinsResidual ? nameof(weight) : null;
        weight = new Parameter(empty(outputs, inputs));
        this.bias = bias ? new Parameter(zeros(outputs)) : null;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public string? JoiningWeight { get; }

    /// <summary>The master weight, float32 (outputs, inputs).</summary>
    public Parameter Weight => weight;

    /// <summary>The bias, float32 (outputs).</summary>
    public Parameter? Bias => bias;

    /// <summary>x·Wᵀ + b over the last dimension.</summary>
    public override Tensor forward(Tensor input) => Apply(input, weight, bias, computeType);

    /// <summary>x·Wᵀ + b in <paramref name="computeType"/>, for a weight that lives elsewhere (a tied head).</summary>
    public static Tensor Apply(Tensor input, Tensor weight, Tensor? bias, ScalarType computeType) =>
        computeType == ScalarType.Float32
            ? FusedKernels.Linear(input, weight, bias)
            : FusedKernels.Linear(input.to_type(computeType), weight.to_type(computeType), bias?.to_type(computeType));
}
