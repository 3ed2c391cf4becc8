using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models;

internal delegate nn.Module<Tensor, Tensor> NormBuilder(int width);

/// <summary>What the layers of one stack share, while it is built and while it runs.</summary>
internal sealed class StackContext(ModelOptions options, int vocabularySize, ScalarType computeType, bool causal) : IDisposable
{
    private readonly Dictionary<PatternOptions, AttentionPattern> patterns = [];
    private readonly Dictionary<(PositionOptions, int Heads, int Width), PositionEncoding> positions = [];

    public ModelOptions Options => options;

    public int VocabularySize => vocabularySize;

    public bool Causal => causal;

    public int Dim => options.Dim;

    public double Dropout => options.Dropout;

    public bool Bias => options.Bias;

    public bool ParallelResidual => options.ParallelResidual;

    public ScalarType ComputeType => computeType;

    public MaskStore Masks { get; } = new();

    /// <summary>One pattern, and so one mask, for all layers with equal options.</summary>
    public AttentionPattern Pattern(PatternOptions pattern)
    {
        if (patterns.TryGetValue(pattern, out AttentionPattern? built)) return built;
        return patterns[pattern] = pattern.Build();
    }

    /// <summary>One encoding, with its tables and weights, for all layers with equal options and heads.</summary>
    public PositionEncoding Position(PositionOptions position, AttentionOptions attention)
    {
        var key = (position, attention.Heads, position is RotaryOptions ? attention.RotaryWidth(Dim) : 0);
        if (positions.TryGetValue(key, out PositionEncoding? built)) return built;
        return positions[key] = position.Build(this, attention);
    }

    /// <summary>A linear layer in the model's precision; <paramref name="keepsWeight"/> if inference reads its float32 weight.</summary>
    public MixedLinear Linear(int inputs, int outputs, bool? bias = null, bool keepsWeight = false) =>
        new(inputs, outputs, bias ?? Bias, computeType, keepsWeight: keepsWeight);

    /// <summary>A linear layer that writes to the residual stream, and is initialised smaller.</summary>
    public MixedLinear ResidualLinear(int inputs, int outputs, bool? bias = null) =>
        new(inputs, outputs, bias ?? Bias, computeType, joinsResidual: true);

    public void Dispose()
    {
        Masks.Dispose();
        foreach (PositionEncoding position in positions.Values) position.Dispose();
    }
}

/// <summary>Tensors that are computed once and kept, such as tables, masks and caches; in no checkpoint.</summary>
internal static class Constants
{
    /// <summary>Makes a tensor that the caller owns, outside of inference mode: training could not use an inference tensor.</summary>
    public static Tensor Own(Func<Tensor> make)
    {
        using var mode = inference_mode(false);
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return make().DetachFromDisposeScope();
    }
}
