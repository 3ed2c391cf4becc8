using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Precision;

/// <summary>A linear layer with float32 weights that multiplies in the model's compute type.</summary>
/// <remarks>In bfloat16 the weight is rounded once for each time it changes, and its gradient arrives in float32: the optimizer only ever
/// sees the float32 master weight, without which steps smaller than a weight's rounding would be lost. On the CPU sums and results
/// are float32 too: there nothing but products gains from bfloat16. For inference there is int8, too: weights in blocks of 8 bits, all else float32; and weights
/// in bfloat16 may be packed.</remarks>
internal sealed class CastLinear : nn.Module<Tensor, Tensor>, IJoinsResidual, IRoundsWeights
{
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly ComputeWeight rounded;
    private readonly ScalarType computeType;
    private readonly bool keepsWeight;

    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="bias">Whether a bias is added.</param>
    /// <param name="computeType">Type of the product.</param>
    /// <param name="joinsResidual">Whether the result is added to the residual stream.</param>
    /// <param name="keepsWeight">Whether the weight stays float32 for inference, too, as others read it.</param>
    public CastLinear(int inputs, int outputs, bool bias, ScalarType computeType, bool joinsResidual = false, bool keepsWeight = false)
        : base(nameof(CastLinear))
    {
        (this.computeType, this.keepsWeight, Inputs, Outputs) = (computeType, keepsWeight, inputs, outputs);
        rounded = new(computeType);
        JoiningWeight = joinsResidual ? nameof(weight) : null;
        weight = new Parameter(empty(outputs, inputs));
        this.bias = bias ? new Parameter(zeros(outputs)) : null;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public string? JoiningWeight { get; }

    /// <summary>Width of the input.</summary>
    public int Inputs { get; }

    /// <summary>Width of the result.</summary>
    public int Outputs { get; }

    /// <inheritdoc/>
    public void RoundWeights()
    {
        if (keepsWeight) InferenceWeight.RequireRows(Inputs, computeType);
        else InferenceWeight.Replace(weight, computeType);
    }

    /// <summary>The master weight, float32 (outputs, inputs); only what is multiplied after <see cref="RoundWeights"/>, unless it is kept.</summary>
    public Parameter Weight => weight;

    /// <summary>The bias, float32 (outputs).</summary>
    public Parameter? Bias => bias;

    /// <summary>Whether an input is multiplied in bfloat16 by kernels that add up in float32.</summary>
    /// <param name="input">On its device.</param>
    public bool Rounds(Tensor input) => Rounds(input, computeType);

    /// <summary>The weight, and what is multiplied.</summary>
    public LinearWeight Parts => new(weight, Multiplied(weight, rounded), bias);

    /// <summary>x·Wᵀ + b in bfloat16, for those who read it so, where <see cref="Rounds(Tensor)"/>.</summary>
    public Tensor Coarse(Tensor input) => MixedPrecisionLinear.ApplyRounded(input, weight, Parts.Rounded, bias, rounds: true);

    /// <summary>x·Wᵀ + b over the last dimension.</summary>
    public override Tensor forward(Tensor input) => Apply(input, Parts, computeType);

    /// <summary>x·Wᵀ + b with products in <paramref name="computeType"/>, for a weight that lives elsewhere (a tied head).</summary>
    /// <param name="input">(…, inputs)</param>
    /// <param name="weight">(outputs, inputs), and what is multiplied on the CPU: see <see cref="Multiplied"/>.</param>
    /// <param name="computeType">Float32, bfloat16, or for inference on the CPU int8.</param>
    /// <returns>(…, outputs); in bfloat16 only where that was asked for on a GPU.</returns>
    public static Tensor Apply(Tensor input, LinearWeight weight, ScalarType computeType)
    {
        if (computeType == ScalarType.Float32) return MixedPrecisionLinear.Apply(input, weight.Weight, weight.Bias);
        if (computeType == ScalarType.Int8) return BlockQuantization.Linear(input, weight.Rounded, weight.Bias);
        if (Rounds(input, computeType)) return MixedPrecisionLinear.ApplyRounded(input, weight.Weight, weight.Rounded, weight.Bias);
        return MixedPrecisionLinear.Apply(input.to_type(computeType), weight.Weight.to_type(computeType), weight.Bias?.to_type(computeType));
    }

    /// <summary>What is multiplied for a weight: on the CPU its copy in the compute type, on a GPU the weight, which is cast there for every call.</summary>
    public static Tensor Multiplied(Tensor weight, ComputeWeight copy) => weight.device_type == DeviceType.CPU ? copy.Of(weight) : weight;

    private static bool Rounds(Tensor input, ScalarType computeType) => computeType == ScalarType.BFloat16 && input.device_type == DeviceType.CPU;

    protected override void Dispose(bool disposing)
    {
        if (disposing) rounded.Dispose();
        base.Dispose(disposing);
    }
}
