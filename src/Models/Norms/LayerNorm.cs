using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Norms;

/// <summary>Layer norm: mean taken out, divided by the standard deviation (Ba et al. 2016, arXiv 1607.06450).</summary>
public sealed record LayerNormOptions : NormOptions
{
    internal override PartCost Cost(long width, bool bias) => new(bias ? 2 * width : width, 0);

    internal override Norm Build(int width, bool bias, bool readRounded = false) => new LayerNormModule(width, bias, Epsilon) { ReadRounded = readRounded };
}

internal sealed class LayerNormModule : Norm
{
    private readonly double epsilon;
    private readonly Parameter weight;
    private readonly Parameter? bias;

    public LayerNormModule(int width, bool bias, double epsilon)
        : base(nameof(LayerNormModule))
    {
        this.epsilon = epsilon;
        weight = new Parameter(ones(width));
        this.bias = bias ? new Parameter(zeros(width)) : null;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Normalization.LayerNorm(x.to_type(ScalarType.Float32), weight, bias, epsilon, Rounds(x));

    public override (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch) =>
        Normalization.AddLayerNorm(x.to_type(ScalarType.Float32), branch.to_type(ScalarType.Float32), weight, bias, epsilon, Rounds(x));
}
