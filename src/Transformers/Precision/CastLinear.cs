using TorchSharp;
using TorchSharp.Modules;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Transformers.Precision;

/// <summary>A linear layer with float32 weights that multiplies in the model's compute type.</summary>
/// <remarks>In bfloat16 the weight is rounded once for each time it changes, and its gradient arrives in float32: the optimizer only ever
/// sees the float32 master weight, without which steps smaller than a weight's rounding would be lost. On the CPU sums and results
/// are float32 too: there nothing but products gains from bfloat16.</remarks>
internal sealed class CastLinear : nn.Module<Tensor, Tensor>, IJoinsResidual, IRoundsWeights
{
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly RoundedCopy rounded = new();
    private readonly ScalarType computeType;

    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="bias">Whether a bias is added.</param>
    /// <param name="computeType">Type of the product.</param>
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

    /// <inheritdoc/>
    public void RoundWeights()
    {
        if (computeType == ScalarType.BFloat16) RoundedCopy.Replace(weight);
    }

    /// <summary>The master weight, float32 (outputs, inputs); bfloat16 after <see cref="RoundWeights"/>.</summary>
    public Parameter Weight => weight;

    /// <summary>The bias, float32 (outputs).</summary>
    public Parameter? Bias => bias;

    /// <summary>Whether an input is multiplied in bfloat16 by kernels that add up in float32.</summary>
    /// <param name="input">On its device.</param>
    public bool Rounds(Tensor input) => Rounds(input, computeType);

    /// <summary>What those kernels read.</summary>
    public RoundedWeight Parts => new(weight, rounded.Of(weight), bias);

    /// <summary>x·Wᵀ + b in bfloat16, for those who read it so, where <see cref="Rounds(Tensor)"/>.</summary>
    public Tensor Coarse(Tensor input) => FusedKernels.RoundedLinear(input, weight, rounded.Of(weight), bias, rounds: true);

    /// <summary>x·Wᵀ + b over the last dimension.</summary>
    public override Tensor forward(Tensor input) => Apply(input, weight, bias, computeType, rounded);

    /// <summary>x·Wᵀ + b with products in <paramref name="computeType"/>, for a weight that lives elsewhere (a tied head).</summary>
    /// <param name="input">(…, inputs)</param>
    /// <param name="weight">Float32 (outputs, inputs).</param>
    /// <param name="bias">Float32 (outputs), or none.</param>
    /// <param name="computeType">Float32 or bfloat16.</param>
    /// <param name="rounded">Keeps this weight's bfloat16 copy; null to round it for this call alone.</param>
    /// <returns>(…, outputs); in bfloat16 only where that was asked for on a GPU.</returns>
    public static Tensor Apply(Tensor input, Tensor weight, Tensor? bias, ScalarType computeType, RoundedCopy? rounded = null)
    {
        if (computeType == ScalarType.Float32) return FusedKernels.Linear(input, weight, bias);
        if (Rounds(input, computeType))
            return FusedKernels.RoundedLinear(input, weight, rounded?.Of(weight) ?? weight.detach().to_type(computeType), bias);
        return FusedKernels.Linear(input.to_type(computeType), weight.to_type(computeType), bias?.to_type(computeType));
    }

    /// <summary>Writes x·Wᵀ + b, for a token on the CPU.</summary>
    /// <param name="plan">Where to.</param>
    /// <param name="from">x, (inputs).</param>
    /// <param name="to">(outputs).</param>
    /// <param name="adds">Whether the result is added to what is there.</param>
    public void Write(TokenPlan plan, TokenVector from, TokenVector to, bool adds = false) => Write(plan, from, to, weight, bias, computeType, rounded, adds);

    /// <summary>Writes the same for a weight that lives elsewhere.</summary>
    /// <inheritdoc cref="Write(TokenPlan, TokenVector, TokenVector, bool)"/>
    public static void Write(
        TokenPlan plan, TokenVector from, TokenVector to, Tensor weight, Tensor? bias, ScalarType computeType, RoundedCopy rounded, bool adds = false) =>
        plan.Program.Linear(from, to, computeType == ScalarType.Float32 ? weight : rounded.Of(weight), bias, adds);

    private static bool Rounds(Tensor input, ScalarType computeType) => computeType == ScalarType.BFloat16 && input.device_type == DeviceType.CPU;

    protected override void Dispose(bool disposing)
    {
        if (disposing) rounded.Dispose();
        base.Dispose(disposing);
    }
}
