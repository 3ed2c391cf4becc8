using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Transformers.Norms;

/// <summary>Layer norm: mean taken out, divided by the standard deviation (Ba et al. 2016, arXiv 1607.06450). ε = 10⁻⁵.</summary>
public sealed record LayerNormOptions : NormOptions
{
    // The backward pass keeps the input, mean and deviation, and the next layer the result.
    internal override PartCost Cost(long width, bool bias) => new(bias ? 2 * width : width, 0) { Activations = 2 * width + 2 };

    internal override nn.Module<Tensor, Tensor> Build(int width, bool bias) => new LayerNormModule(width, bias);
}

/// <summary>Computes in float32 whatever the input's type.</summary>
internal sealed class LayerNormModule : nn.Module<Tensor, Tensor>
{
    private const double Epsilon = 1e-5;
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly long[] shape;

    public LayerNormModule(int width, bool bias)
        : base(nameof(LayerNormModule))
    {
        shape = [width];
        weight = new Parameter(ones(width));
        this.bias = bias ? new Parameter(zeros(width)) : null;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => functional.layer_norm(x.to_type(ScalarType.Float32), shape, weight, bias, Epsilon);
}
