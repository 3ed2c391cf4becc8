using TorchSharp.Modules;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Transformers.Norms;

/// <summary>Root-mean-square norm: x / √(mean(x²) + ε) · weight (Zhang and Sennrich 2019, arXiv 1910.07467). ε = 10⁻⁵. Never a bias.</summary>
public sealed record RmsNormOptions : NormOptions
{
    // Kept: the input, the normalised numbers before the weight, and the result.
    internal override PartCost Cost(long width, bool bias) => new(width, 0) { Activations = 3 * width + 1 };

    internal override nn.Module<Tensor, Tensor> Build(int width, bool bias) => new RmsNormModule(width);
}

/// <summary>Computes in float32 whatever the input's type.</summary>
internal sealed class RmsNormModule : nn.Module<Tensor, Tensor>
{
    private const double Epsilon = 1e-5;
    private readonly Parameter weight;
    private readonly long[] shape;

    public RmsNormModule(int width)
        : base(nameof(RmsNormModule))
    {
        shape = [width];
        weight = new Parameter(ones(width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Functional.RmsNorm(x.to_type(ScalarType.Float32), shape, weight, Epsilon);
}
