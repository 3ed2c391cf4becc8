using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A linear layer with float32 master weights that multiplies in the model's compute type.</summary>
/// <remarks>A bfloat16 copy is made once per change of the weight, and gradients arrive in float32: small steps are not lost. On the CPU
/// sums and results are float32 too. Inference also has int8, weights in blocks of 8 bits.</remarks>
internal sealed class MixedLinear : nn.Module<Tensor, Tensor>, IAdaptable, IJoinsResidual, IMasterWeights
{
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly ComputeWeight computeWeight;
    private readonly ScalarType computeType;
    private readonly bool keepsWeight;
    private LinearAdapter? adapter;
    private RowAdapters? rowAdapters;

    public MixedLinear(int inputs, int outputs, bool bias, ScalarType computeType, bool joinsResidual = false, bool keepsWeight = false)
        : base(nameof(MixedLinear))
    {
        (this.computeType, this.keepsWeight, Inputs, Outputs) = (computeType, keepsWeight, inputs, outputs);
        computeWeight = new(computeType);
        JoiningWeight = joinsResidual ? nameof(weight) : null;
        weight = new Parameter(empty(outputs, inputs));
        this.bias = bias ? new Parameter(zeros(outputs)) : null;
        RegisterComponents();
    }

    public string? JoiningWeight { get; }

    public int Inputs { get; }

    public int Outputs { get; }

    public void DropMasterWeights()
    {
        if (keepsWeight) InferenceWeight.RequireRows(Inputs, computeType);
        else InferenceWeight.Replace(weight, computeType);
    }

    /// <summary>The weight itself, (outputs, inputs): float32 until <see cref="DropMasterWeights"/> or <see cref="Freeze"/>, and without the
    /// adapter.</summary>
    public Parameter Weight => weight;

    /// <summary>What inputs are multiplied with, the adapter merged into it; without gradients where there is one.</summary>
    public Tensor EffectiveWeight
    {
        get
        {
            Tensor own = IsStored ? FrozenLinear.Unpacked(weight, ScalarType.Float32) : weight;
            return adapter?.Merge(own) ?? own;
        }
    }

    /// <summary>Keeps a weight that is not trained in bfloat16 or, on the CPU, in blocks of 8 bits; what is trained, and what others read, stays.
    /// </summary>
    /// <exception cref="UserException">Rows do not divide into blocks.</exception>
    public void Freeze(ScalarType storage)
    {
        if (Freezes) InferenceWeight.Replace(weight, storage);
    }

    /// <summary>Whether <see cref="Freeze"/> rounds the weight.</summary>
    public bool Freezes => !weight.requires_grad && !keepsWeight;

    private bool IsStored => IsKept(weight, computeType);

    /// <summary>Whether a weight is kept rounded for training, where the compute type has no use for it as it is.</summary>
    internal static bool IsKept(Tensor weight, ScalarType computeType) =>
        weight.dtype != ScalarType.Float32 && weight.dtype != computeType;

    public Parameter? Bias => bias;

    /// <summary>Whether an adapter changes what a pass computes.</summary>
    public bool IsAdapted(AttentionContext? context) => adapter is not null || AdaptsRows(context);

    /// <summary>Whether rows of a pass take adapters of their own.</summary>
    public bool AdaptsRows(AttentionContext? context) => rowAdapters is not null && context?.Adapters is not null;

    public void Attach(LinearAdapter beside)
    {
        adapter = beside;
        adapter.train(training);
        register_module(nameof(adapter), beside);
    }

    public void Attach(int slot, LinearAdapter beside) => (rowAdapters ??= new()).Add(slot, beside);

    public bool Rounds(Tensor input) => !IsStored && Rounds(input, computeType);

    public LinearWeight Operands => new(weight, Multiplied(weight, computeWeight), bias);

    /// <summary>x·Wᵀ + b, written in bfloat16, where <see cref="Rounds(Tensor)"/>.</summary>
    public Tensor ForwardRounded(Tensor input, AttentionContext context) => Adapted(
        MixedPrecisionLinear.ApplyRounded(input, weight, Operands.Rounded, bias, rounds: true), input, context);

    public override Tensor forward(Tensor input) => Forward(input, context: null);

    /// <summary>x·Wᵀ + b, and what an adapter adds, whose dropout is that of the pass.</summary>
    public Tensor Forward(Tensor input, AttentionContext? context) => Adapted(
        IsStored ? FrozenLinear.Apply(input, weight, bias, computeType) : Apply(input, Operands, computeType), input, context);

    /// <summary>x·Wᵀ + b for any weight, such as a tied head's: (…, inputs) → (…, outputs), float32, on a GPU the compute type.</summary>
    public static Tensor Apply(Tensor input, LinearWeight weight, ScalarType computeType)
    {
        if (computeType == ScalarType.Float32) return MixedPrecisionLinear.Apply(input, weight.Weight, weight.Bias);
        if (computeType == ScalarType.Int8) return BlockQuantization.Linear(input, weight.Rounded, weight.Bias);
        if (Rounds(input, computeType)) return MixedPrecisionLinear.ApplyRounded(input, weight.Weight, weight.Rounded, weight.Bias);
        return MixedPrecisionLinear.Apply(
            input.to_type(computeType), weight.Weight.to_type(computeType), weight.Bias?.to_type(computeType));
    }

    /// <summary>The compute copy of a weight on the CPU; on a GPU, which casts it for every call, the weight itself.</summary>
    public static Tensor Multiplied(Tensor weight, ComputeWeight copy) => weight.device_type == DeviceType.CPU ? copy.Of(weight) : weight;

    private Tensor Adapted(Tensor result, Tensor input, AttentionContext? context)
    {
        LinearWeight own = new(weight, weight, bias);
        if (adapter is not null) result = adapter.Apply(result, input, own, computeType, context);
        return AdaptsRows(context) ? rowAdapters!.Apply(result, input, own, computeType, context!.Adapters!) : result;
    }

    private static bool Rounds(Tensor input, ScalarType computeType) =>
        computeType == ScalarType.BFloat16 && input.device_type == DeviceType.CPU;

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            computeWeight.Dispose();
            rowAdapters?.Dispose();
        }
        base.Dispose(disposing);
    }
}

internal interface IMasterWeights
{
    /// <summary>Replaces the master weights with their compute copies, for inference.</summary>
    /// <exception cref="UserException">The compute type cannot hold their rows.</exception>
    void DropMasterWeights();
}

internal static class InferenceWeight
{
    public static void Replace(Parameter matrix, ScalarType computeType)
    {
        RequireRows(matrix.size(-1), computeType);
        ComputeWeight.Replace(matrix, computeType);
    }

    public static void RequireRows(long width, ScalarType computeType)
    {
        if (computeType == ScalarType.Int8 && !BlockQuantization.Divides(width))
            throw new UserException(
                $"int8 holds matrices in blocks of {BlockQuantization.BlockLength} numbers, " +
                $"and this model has one with rows of {width}; use bfloat16");
    }
}
