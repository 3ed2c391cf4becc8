using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>Makes a norm over the last dimension, of the given width.</summary>
internal delegate nn.Module<Tensor, Tensor> NormBuilder(int width);

/// <summary>What the parts of one model share while it is built, and after.</summary>
internal sealed class ModelParts(ModelOptions options, ScalarType computeType) : IDisposable
{
    private readonly Dictionary<PatternOptions, AttentionPattern> patterns = [];

    /// <summary>Width of the residual stream, C.</summary>
    public int Dim => options.Dim;

    /// <summary>Probability of dropping.</summary>
    public double Dropout => options.Dropout;

    /// <summary>Whether linear layers and layer norms have biases.</summary>
    public bool Bias => options.Bias;

    /// <summary>The type matrix products are computed in.</summary>
    public ScalarType ComputeType => computeType;

    /// <summary>Masks, shared by the layers.</summary>
    public MaskStore Masks { get; } = new();

    /// <summary>One pattern for all layers with equal options, so that they share its mask.</summary>
    public AttentionPattern Pattern(PatternOptions pattern)
    {
        if (patterns.TryGetValue(pattern, out AttentionPattern? built)) return built;
        return patterns[pattern] = pattern.Build();
    }

    /// <summary>A linear layer in this model's precision, and with a bias where it has them unless told otherwise.</summary>
    public CastLinear Linear(int inputs, int outputs, bool? bias = null) => new(inputs, outputs, bias ?? Bias, computeType);

    /// <summary>A linear layer whose result joins the residual stream, which initialisation makes smaller.</summary>
    public CastLinear ResidualLinear(int inputs, int outputs, bool? bias = null) => new(inputs, outputs, bias ?? Bias, computeType, joinsResidual: true);

    /// <inheritdoc/>
    public void Dispose() => Masks.Dispose();
}
