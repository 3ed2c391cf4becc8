using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Norms;

/// <summary>Root-mean-square norm: x / √(mean(x²) + ε) · weight (Zhang and Sennrich 2019, arXiv 1910.07467). Never a bias.</summary>
public sealed record RmsNormOptions : NormOptions
{
    internal override PartCost Cost(long width, bool bias) => new(width, 0);

    internal override Norm Build(int width, bool bias, bool readRounded = false) => new RmsNormModule(width, Epsilon) { ReadRounded = readRounded };
}

internal sealed class RmsNormModule : Norm
{
    private readonly double epsilon;
    private readonly Parameter weight;

    public RmsNormModule(int width, double epsilon)
        : base(nameof(RmsNormModule))
    {
        this.epsilon = epsilon;
        weight = new Parameter(ones(width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Normalization.RmsNorm(x.to_type(ScalarType.Float32), weight, epsilon, Rounds(x));

    public override (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch) =>
        Normalization.AddRmsNorm(x.to_type(ScalarType.Float32), branch.to_type(ScalarType.Float32), weight, epsilon, Rounds(x));
}
