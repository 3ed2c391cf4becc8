// Shapes: B batch, T query positions, C model dimension, V vocabulary.
using TorchSharp.Modules;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A model of token sequences: logits, losses, and decoding with a cache.</summary>
public abstract class LanguageModel : SequenceModel
{
    private protected LanguageModel(string name, ModelOptions options, int vocabularySize, ScalarType computeType)
        : base(name, options, vocabularySize, computeType)
    {
    }

    /// <summary>Number of token ids, V.</summary>
    public int VocabularySize => Outputs;

    /// <summary>Whether the model continues texts; an encoder does not.</summary>
    public abstract bool Generates { get; }

    /// <summary>Logits of the next token at each position, or in an encoder of that token: (B, T) → (B, T, V), float32.</summary>
    /// <exception cref="UserException">The sequence is longer than the learned positions.</exception>
    public abstract override Tensor forward(ModelInput input);

    /// <summary>Logits at <paramref name="places"/> only, (N) int64 indices into the B·T positions, row by row: (N, V), float32.</summary>
    public abstract Tensor LogitsAt(ModelInput input, Tensor places);

    /// <summary>The head's logits of hidden states, (…, C) → (…, V), float32, for callers that cannot hold those of all tokens.</summary>
    public abstract Tensor LogitsOf(Tensor hidden);

    /// <summary>The parameters that <see cref="LogitsOf"/> reads.</summary>
    public abstract IReadOnlyList<Parameter> HeadParameters { get; }

    /// <summary>Adds tokens (B, T), int64, to the state: the next token's logits after each, (B, T, V), float32. No gradients.</summary>
    /// <exception cref="UserException">The tokens do not fit, or the first ones are fewer than the prefix.</exception>
    public abstract Tensor forward(Tensor tokens, DecodingState state);

    /// <summary>As <see cref="forward(Tensor, DecodingState)"/>, at the last position only: (B, V), float32.</summary>
    public abstract Tensor NextLogits(Tensor tokens, DecodingState state);

    /// <summary>In training with the layers' auxiliary losses, what <paramref name="loss"/> computes of the hidden states before the head,
    /// (B·T, C), and the targets that count, (B·T).</summary>
    public abstract LossTerms Losses(ModelInput input, Tensor targets, Func<Tensor, Tensor, LossTerms> loss);

    /// <summary>An empty state with room for <paramref name="capacity"/> positions; an encoder-decoder also takes its source.</summary>
    /// <param name="batch">Number of sequences.</param>
    /// <param name="capacity">The most positions of each.</param>
    /// <param name="source">What an encoder-decoder reads.</param>
    /// <param name="adapter">Which of <see cref="SequenceModel.Adapters"/> all sequences take; null for none.</param>
    /// <exception cref="UserException">More positions than the model has learned, a model that does not generate, or an adapter that it
    /// does not have.</exception>
    public abstract DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null, string? adapter = null);
}
