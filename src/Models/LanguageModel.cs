// Shapes: B batch, T query positions, S key positions, H heads, C model dimension, V vocabulary.
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A model of token sequences: logits of the next token, their loss, and decoding with memory.</summary>
/// <remarks>Built by <see cref="ModelOptions.Build(int, ScalarType)"/>. Weights are float32 whatever the compute type, except in a model
/// built for inference. Several threads may compute losses of sequences of equal length at once; nothing else is thread-safe.</remarks>
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

    /// <summary>Length of the prefix, which the model reads as a whole and does not predict; 1 in a causal model.</summary>
    public int PrefixLength { get; }

    /// <summary>Where the weights are.</summary>
    public abstract Device Device { get; }

    /// <summary>Whether the model continues texts; an encoder does not.</summary>
    public abstract bool Generates { get; }

    /// <summary>Whether activation checkpointing is on: blocks keep only their inputs, and the backward pass runs them again. Same bits,
    /// far less memory, about a third more time.</summary>
    public abstract bool ActivationCheckpointing { get; set; }

    /// <summary>Logits of the next token at each position; in an encoder, of the token at that position.</summary>
    /// <param name="input">Token ids (B, T), their positions and documents.</param>
    /// <returns>(B, T, V), float32.</returns>
    /// <exception cref="UserException">The sequence is longer than the learned positions.</exception>
    public abstract override Tensor forward(ModelInput input);

    /// <summary>Logits at some positions only, which spares most of a large head's work.</summary>
    /// <param name="input">Token ids (B, T), their positions and documents.</param>
    /// <param name="places">Indices into the B·T positions, row by row: (N), int64.</param>
    /// <returns>(N, V), float32, in the order of <paramref name="places"/>.</returns>
    public abstract Tensor LogitsAt(ModelInput input, Tensor places);

    /// <summary>Hidden states before the head.</summary>
    /// <param name="input">Token ids (B, T).</param>
    /// <returns>(B, T, C), float32.</returns>
    public abstract Tensor Hidden(ModelInput input);

    /// <summary>The head's logits of hidden states, for callers that cannot hold the logits of all tokens at once.</summary>
    /// <param name="hidden">(…, C), float32.</param>
    /// <returns>Logits (…, V), float32.</returns>
    public abstract Tensor LogitsOf(Tensor hidden);

    /// <summary>Attention weights of every layer. No gradients.</summary>
    /// <param name="input">Token ids (B, T).</param>
    /// <returns>One entry for each attention layer, in the order they run; tensors in the current dispose scope.</returns>
    public abstract IReadOnlyList<AttentionWeights> AttentionMaps(ModelInput input);

    /// <summary>Logits of the next token at each new position, given the tokens in <paramref name="state"/>. No gradients.</summary>
    /// <param name="tokens">New token ids (B, T), int64, which are added to the state.</param>
    /// <param name="state">From <see cref="NewDecodingState"/> of this model.</param>
    /// <returns>(B, T, V), float32.</returns>
    /// <exception cref="UserException">The tokens do not fit, or the first ones are fewer than <see cref="PrefixLength"/>.</exception>
    public abstract Tensor forward(Tensor tokens, DecodingState state);

    /// <summary>As <see cref="forward(Tensor, DecodingState)"/>, at the last position only.</summary>
    /// <returns>(B, V), float32.</returns>
    public abstract Tensor NextLogits(Tensor tokens, DecodingState state);

    /// <summary>Summed cross entropy.</summary>
    /// <param name="input">Token ids (B, T), their positions and documents.</param>
    /// <param name="targets">The token to predict at each position (B, T), int64; −100 where none is. Targets within the prefix are
    /// ignored.</param>
    /// <param name="labelSmoothing">Label smoothing (Szegedy et al. 2016); 0 for none.</param>
    /// <returns>Scalar, float32, in nats, on the device.</returns>
    public Tensor LossSum(ModelInput input, Tensor targets, double labelSmoothing = 0) =>
        Losses(input, targets, labelSmoothing).CrossEntropy;

    /// <summary>Summed cross entropy and, in training, the layers' auxiliary losses.</summary>
    /// <param name="input">Token ids (B, T), their positions and documents.</param>
    /// <param name="targets">As in <see cref="LossSum"/>.</param>
    /// <param name="labelSmoothing">As in <see cref="LossSum"/>.</param>
    public abstract LossTerms Losses(ModelInput input, Tensor targets, double labelSmoothing = 0);

    /// <summary>An empty decoding state.</summary>
    /// <param name="batch">Number of sequences, B.</param>
    /// <param name="capacity">Maximum number of positions.</param>
    /// <param name="source">The encoder's input, B sequences; null for a decoder.</param>
    /// <returns>The caller disposes it.</returns>
    /// <exception cref="UserException">More positions than the model has learned, or a model that does not generate.</exception>
    public abstract DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null);

    /// <summary>Ends an optimizer step for modules that change by other means than gradients: the biases that balance experts.</summary>
    /// <param name="skip">Float32 scalar on the model's device: 1 if the step is skipped and nothing may change.</param>
    public void EndStep(Tensor skip)
    {
        foreach (IStepFollower follower in modules().OfType<IStepFollower>()) follower.EndStep(skip);
    }

    /// <summary>Tokens of each expert in the step that <see cref="EndStep"/> ended last.</summary>
    /// <returns>One entry for each layer of experts, in the order of the model.</returns>
    public IReadOnlyList<ExpertReport> Experts() =>
        [.. named_modules().Where(entry => entry.module is ExpertsFeedForward).Select(
            entry => new ExpertReport(entry.name, ((ExpertsFeedForward)entry.module).Load))];

    /// <summary>The kernel of each attention layer for a whole sequence, in the model's current mode and on its device.</summary>
    /// <exception cref="UserException">A kernel is required that cannot run here; the message says why.</exception>
    public abstract IReadOnlyList<KernelReport> Kernels(int? length = null);
}

/// <summary>The loss of a batch.</summary>
/// <param name="CrossEntropy">Summed over the targets, in nats: the reported loss. Float32 scalar on the device.</param>
/// <param name="Auxiliary">The layers' auxiliary losses, summed likewise; null if there are none.</param>
public readonly record struct LossTerms(Tensor CrossEntropy, Tensor? Auxiliary)
{
    /// <summary>What is minimised.</summary>
    public Tensor Objective => Auxiliary is null ? CrossEntropy : CrossEntropy.add(Auxiliary);
}

/// <summary>Attention weights of one layer.</summary>
/// <param name="Stack">The stack of blocks: <c>decoder</c> or <c>encoder</c>.</param>
/// <param name="Layer">The layer in it, from 0.</param>
/// <param name="Cross">Whether the keys are an encoder's.</param>
/// <param name="Weights">(B, H, T, S), float32; rows sum to 1.</param>
public sealed record AttentionWeights(string Stack, int Layer, bool Cross, Tensor Weights);

/// <summary>How one layer computes attention.</summary>
/// <param name="Layer">The layer of its stack, from 0.</param>
/// <param name="Kernel">Name of the kernel; for <c>auto</c> of the one it chose.</param>
/// <param name="Backend">libtorch's backend; null for a kernel of our own.</param>
public sealed record KernelReport(int Layer, string Kernel, AttentionBackend? Backend)
{
    /// <summary>The stack of blocks: <c>decoder</c> or <c>encoder</c>.</summary>
    public string Stack { get; init; } = "decoder";

    /// <summary>Whether it is attention to an encoder's output.</summary>
    public bool Cross { get; init; }
}

/// <summary>Name of a kernel, and libtorch's backend if it is one of libtorch's.</summary>
internal readonly record struct KernelChoice(string Kernel, AttentionBackend? Backend);

/// <summary>Tokens of each expert of one layer.</summary>
/// <param name="Layer">The layer's place in the model, such as <c>blocks.3.feedForward</c>.</param>
/// <param name="Tokens">Tokens of one optimizer step, an entry for each expert.</param>
public sealed record ExpertReport(string Layer, IReadOnlyList<long> Tokens)
{
    /// <summary>Tokens of the busiest expert over the mean: 1 if balanced, experts / active experts at worst.</summary>
    public double Busiest => Tokens.Sum() is var sum and > 0 ? (double)Tokens.Max() * Tokens.Count / sum : 0;

    /// <summary>Experts without tokens.</summary>
    public int Idle => Tokens.Count(count => count == 0);
}

/// <summary>A module that changes after each optimizer step by what it saw, not by a gradient.</summary>
internal interface IStepFollower
{
    /// <summary>Ends a step; <paramref name="skip"/> is a float32 scalar on the device, 1 if nothing may change.</summary>
    void EndStep(Tensor skip);
}
