// Shapes: B batch, T positions, V vocabulary.
using Trainer.Configuration;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A model of token sequences: logits of the next token, their loss, and decoding with memory.</summary>
/// <remarks>Made by <see cref="ModelOptions.Build(int, ScalarType)"/>. Weights are float32 whatever the compute type, except in a model built for
/// inference. Several threads may compute losses of sequences of one length side by side; anything else is for one thread at a time.</remarks>
public abstract class LanguageModel : nn.Module<ModelInput, Tensor>
{
    private protected LanguageModel(string name, ModelOptions options, int vocabularySize, ScalarType computeType)
        : base(name)
    {
        Options = options;
        VocabularySize = vocabularySize;
        ComputeType = computeType;
        PrefixLength = options.PrefixLength();
    }

    /// <summary>The configuration the model was built from.</summary>
    public ModelOptions Options { get; }

    /// <summary>Number of token ids, V.</summary>
    public int VocabularySize { get; }

    /// <summary>The type matrix products are computed in; int8 where matrices are in blocks of 8 bits and products in float32.</summary>
    public ScalarType ComputeType { get; }

    /// <summary>Number of positions the model is trained on.</summary>
    public int ContextLength => Options.ContextLength;

    /// <summary>How many of the first tokens of a row the model reads together: it is given them, and predicts those behind them; 1 where each
    /// token sees only those before it.</summary>
    public int PrefixLength { get; }

    /// <summary>Where the weights are.</summary>
    public abstract Device Device { get; }

    /// <summary>Whether the model continues texts; an encoder does not.</summary>
    public abstract bool Generates { get; }

    /// <summary>Whether blocks keep only their inputs for the backward pass, which runs each of them again (activation checkpointing): far less
    /// memory, about a third more time, the same bits.</summary>
    public abstract bool ActivationCheckpointing { get; set; }

    /// <summary>Logits of the tokens to predict: the one that follows each position, or for an encoder the one that stands there.</summary>
    /// <param name="input">Token ids (B, T) with what else is to be said of them.</param>
    /// <returns>(B, T, V), float32.</returns>
    /// <exception cref="UserException">The sequence is longer than the positions the model can tell apart.</exception>
    public abstract override Tensor forward(ModelInput input);

    /// <summary>Logits of some places only: where few are scored, most of a large head's work is spared.</summary>
    /// <param name="input">Token ids (B, T) with what else is to be said of them.</param>
    /// <param name="places">Which of the B·T places, row by row: (N), int64.</param>
    /// <returns>(N, V), float32, in the order of the places.</returns>
    public abstract Tensor LogitsAt(ModelInput input, Tensor places);

    /// <summary>What the blocks make of each token, before the head.</summary>
    /// <param name="input">Token ids (B, T).</param>
    /// <returns>(B, T, C), float32.</returns>
    public abstract Tensor Hidden(ModelInput input);

    /// <summary>What the head makes of <see cref="Hidden"/>: for a few tokens at a time, all of whose logits would take too much memory.</summary>
    /// <param name="hidden">(…, C), float32.</param>
    /// <returns>Logits (…, V), float32.</returns>
    public abstract Tensor LogitsOf(Tensor hidden);

    /// <summary>How much each position looks at each other one, in every attention layer. No gradients.</summary>
    /// <param name="input">Token ids (B, T).</param>
    /// <returns>One entry for each attention layer, in the order they run; tensors in the current dispose scope.</returns>
    public abstract IReadOnlyList<AttentionWeights> AttentionMaps(ModelInput input);

    /// <summary>Logits of the token that follows each new position, given all that <paramref name="state"/> remembers. No gradients.</summary>
    /// <param name="tokens">The new token ids (B, T), int64; they are remembered.</param>
    /// <param name="state">From <see cref="NewDecodingState"/> of this model.</param>
    /// <returns>(B, T, V), float32.</returns>
    /// <exception cref="UserException">The tokens do not fit, or the first ones are fewer than <see cref="PrefixLength"/>.</exception>
    public abstract Tensor forward(Tensor tokens, DecodingState state);

    /// <summary>As <see cref="forward(Tensor, DecodingState)"/>, but only the logits after the last position: the head is spared the rest of a prompt.</summary>
    /// <returns>(B, V), float32.</returns>
    public abstract Tensor NextLogits(Tensor tokens, DecodingState state);

    /// <summary>Summed cross entropy.</summary>
    /// <param name="input">Token ids (B, T) with what else is to be said of them.</param>
    /// <param name="targets">The token to predict at each position (B, T), int64; −100 where none is scored. Tokens of the prefix are not scored
    /// whatever stands there, as the model has seen them.</param>
    /// <param name="labelSmoothing">The share of each target's probability that is spread over all tokens (Szegedy et al. 2016); 0 for the plain loss.</param>
    /// <returns>Zero dimensions, float32, in nats; still on the device.</returns>
    public Tensor LossSum(ModelInput input, Tensor targets, double labelSmoothing = 0) => Losses(input, targets, labelSmoothing).CrossEntropy;

    /// <summary>Summed cross entropy, and while training what layers want added to it.</summary>
    /// <param name="input">Token ids (B, T) with what else is to be said of them.</param>
    /// <param name="targets">As in <see cref="LossSum"/>.</param>
    /// <param name="labelSmoothing">As in <see cref="LossSum"/>.</param>
    public abstract LossTerms Losses(ModelInput input, Tensor targets, double labelSmoothing = 0);

    /// <summary>An empty memory for decoding.</summary>
    /// <param name="batch">Sequences decoded side by side, B.</param>
    /// <param name="capacity">Positions to make room for.</param>
    /// <param name="source">What the encoder of an encoder-decoder reads, B sequences; null for a decoder.</param>
    /// <returns>The caller disposes it.</returns>
    /// <exception cref="UserException">The model cannot tell so many positions apart, or does not generate.</exception>
    public abstract DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null);

    /// <summary>Ends an optimizer step for the parts that follow what the step saw, not a gradient: the biases that balance experts.</summary>
    /// <param name="skip">A float32 scalar on the model's device: 1 where the step went wrong and nothing may change.</param>
    public void EndStep(Tensor skip)
    {
        foreach (IStepFollower follower in modules().OfType<IStepFollower>()) follower.EndStep(skip);
    }

    /// <summary>What each layer of experts gave to each of them in the last step that <see cref="EndStep"/> ended.</summary>
    /// <returns>One entry for each such layer, in the order of the model; empty for a model without experts.</returns>
    public IReadOnlyList<ExpertReport> Experts() =>
        [.. named_modules().Where(entry => entry.module is ExpertsFeedForward).Select(entry => new ExpertReport(entry.name, ((ExpertsFeedForward)entry.module).Load))];

    /// <summary>Which kernel each layer computes a whole sequence with, in the model's present mode and on its device.</summary>
    /// <param name="length">Positions; by default the context length.</param>
    /// <returns>One entry for each attention layer.</returns>
    /// <exception cref="UserException">A kernel is demanded that cannot run here, with the reason.</exception>
    public abstract IReadOnlyList<KernelReport> Kernels(int? length = null);
}
