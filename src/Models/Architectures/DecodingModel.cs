// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What decoders with and without an encoder have in common: they generate, token by token.</summary>
internal abstract class DecodingModel(string name, ModelOptions options, int vocabularySize, ScalarType computeType)
    : TransformerModel(name, options, vocabularySize, computeType)
{
    /// <summary>The stack that generates.</summary>
    protected abstract BlockStack Generating { get; }

    public override bool Generates => true;

    public override Tensor forward(Tensor tokens, DecodingState state)
    {
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return Logits(Step(tokens, state)).MoveToOuterDisposeScope();
    }

    public override Tensor NextLogits(Tensor tokens, DecodingState state)
    {
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor last = Step(tokens, state).select(1, tokens.size(1) - 1); // (B, T, C) → (B, C)
        return Logits(last).MoveToOuterDisposeScope(); // (B, V)
    }

    private Tensor Step(Tensor tokens, DecodingState state)
    {
        state.Require(tokens.size(0), tokens.size(1));
        if (state.Length == 0) RequirePrefix(tokens.size(1));
        using ForwardPass pass = ForwardPass.After(state, tokens);
        Tensor hidden = Generating.Run(Embed(tokens), pass, state);
        state.Advance((int)tokens.size(1));
        return hidden;
    }

    // Tokens that see each other are computed together: what came later could not be seen by those that are remembered.
    private void RequirePrefix(long tokens)
    {
        if (tokens < PrefixLength)
            throw new UserException($"the prompt has {tokens} tokens, but the model reads a prefix of {PrefixLength} together before it writes (attention pattern 'prefix'); give at least {PrefixLength} tokens");
    }
}
