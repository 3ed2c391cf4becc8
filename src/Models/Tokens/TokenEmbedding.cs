// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The vector of each token, which a tied head multiplies with, too.</summary>
internal sealed class TokenEmbedding : nn.Module, IRoundsWeights
{
    private readonly Parameter weight;
    private readonly ModelOptions options;
    private readonly ScalarType computeType;

    /// <param name="vocabularySize">Number of token ids, V.</param>
    /// <param name="options">The model.</param>
    /// <param name="computeType">Type of the model's products.</param>
    public TokenEmbedding(int vocabularySize, ModelOptions options, ScalarType computeType)
        : base(nameof(TokenEmbedding))
    {
        (this.options, this.computeType) = (options, computeType);
        weight = new Parameter(empty(vocabularySize, options.Dim));
        RegisterComponents();
    }

    /// <summary>(V, C), float32; in a model for inference in int8 in blocks of 8 bits.</summary>
    public Parameter Weight => weight;

    /// <summary>The tokens' vectors.</summary>
    /// <param name="tokens">(B, T), integers.</param>
    /// <returns>(B, T, C), float32.</returns>
    public Tensor Rows(Tensor tokens)
    {
        Tensor rows = weight.dtype == ScalarType.Int8
            ? BlockQuantization.Unpack(weight.index_select(0, tokens.reshape(-1))).view(tokens.size(0), tokens.size(1), -1)
            : Functional.Embedding(tokens, weight, null);
        return options.ScaleEmbeddings ? rows.mul(Math.Sqrt(options.Dim)) : rows;
    }

    /// <inheritdoc/>
    /// <remarks>In bfloat16 vectors stay float32 as in training, so that a run's own evaluations are met to the digit.</remarks>
    public void RoundWeights()
    {
        if (computeType == ScalarType.Int8) InferenceWeight.Replace(weight, computeType);
    }
}
