using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Makes a norm over the last dimension, of the given width.</summary>
internal delegate nn.Module<Tensor, Tensor> NormBuilder(int width);

/// <summary>What the parts of one stack of blocks share while it is built, and after.</summary>
/// <param name="options">The model.</param>
/// <param name="computeType">The type matrix products are computed in.</param>
/// <param name="causal">Whether the stack is a decoder: no position sees a later one.</param>
internal sealed class ModelParts(ModelOptions options, ScalarType computeType, bool causal) : IDisposable
{
    private readonly Dictionary<PatternOptions, AttentionPattern> patterns = [];
    private readonly Dictionary<(PositionOptions, int Heads, int Width), PositionEncoding> positions = [];

    /// <summary>The model.</summary>
    public ModelOptions Options => options;

    /// <summary>Whether the stack is a decoder: no position sees a later one.</summary>
    public bool Causal => causal;

    /// <summary>Width of the residual stream, C.</summary>
    public int Dim => options.Dim;

    /// <summary>Probability of dropping.</summary>
    public double Dropout => options.Dropout;

    /// <summary>Whether linear layers and layer norms have biases.</summary>
    public bool Bias => options.Bias;

    /// <summary>Whether mixer and feed-forward layer read the same stream.</summary>
    public bool ParallelResidual => options.ParallelResidual;

    /// <summary>The type matrix products are computed in; int8 where matrices are in blocks of 8 bits and products in float32.</summary>
    public ScalarType ComputeType => computeType;

    /// <summary>Masks, shared by the layers.</summary>
    public MaskStore Masks { get; } = new();

    /// <summary>One pattern for all layers with equal options, so that they share its mask.</summary>
    public AttentionPattern Pattern(PatternOptions pattern)
    {
        if (patterns.TryGetValue(pattern, out AttentionPattern? built)) return built;
        return patterns[pattern] = pattern.Build();
    }

    /// <summary>One encoding for all layers with equal options and heads, so that they share its tables and weights.</summary>
    public PositionEncoding Position(PositionOptions position, AttentionOptions attention)
    {
        var key = (position, attention.Heads, attention.TurnedWidth(Dim));
        if (positions.TryGetValue(key, out PositionEncoding? built)) return built;
        return positions[key] = position.Build(this, attention);
    }

    /// <summary>A linear layer with this model's precision.</summary>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="bias">Whether it has a bias; by default the model's choice.</param>
    /// <param name="keepsWeight">Whether its weight stays float32 for inference, too, as others read it.</param>
    public CastLinear Linear(int inputs, int outputs, bool? bias = null, bool keepsWeight = false) => new(inputs, outputs, bias ?? Bias, computeType, keepsWeight: keepsWeight);

    /// <summary>A linear layer whose result joins the residual stream, which initialisation makes smaller.</summary>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="bias">Whether it has a bias; by default the model's choice.</param>
    public CastLinear ResidualLinear(int inputs, int outputs, bool? bias = null) => new(inputs, outputs, bias ?? Bias, computeType, joinsResidual: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        Masks.Dispose();
        foreach (PositionEncoding position in positions.Values) position.Dispose();
    }
}
