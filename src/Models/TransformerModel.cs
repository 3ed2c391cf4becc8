// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What the architectures share: token embeddings before the stacks of blocks, head and loss after them.</summary>
internal abstract class TransformerModel : LanguageModel
{
    private readonly TokenEmbedding embedding;
    private LanguageHead? head;

    protected TransformerModel(string name, ModelOptions options, int vocabularySize, ScalarType computeType)
        : base(name, options, vocabularySize, computeType)
    {
        embedding = new(vocabularySize, options, computeType);
        register_module("embedding", embedding);
    }

    public override Device Device => embedding.Weight.device;

    public override Tensor forward(ModelInput input)
    {
        using DisposeScope scope = NewDisposeScope();
        return Logits(Run(input)).MoveToOuterDisposeScope();
    }

    public override Tensor LogitsAt(ModelInput input, Tensor places)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor hidden = Run(input).reshape(-1, Options.Dim).index_select(0, places); // (B, T, C) → (N, C)
        return Logits(hidden).MoveToOuterDisposeScope(); // (N, V)
    }

    public override Tensor LogitsOf(Tensor hidden)
    {
        using DisposeScope scope = NewDisposeScope();
        return Logits(hidden).MoveToOuterDisposeScope();
    }

    public override IReadOnlyList<Parameter> HeadParameters =>
        [.. head!.parameters(), .. Options.TieEmbeddings ? [embedding.Weight] : Array.Empty<Parameter>()];

    public override LossTerms Losses(
        ModelInput input, Tensor targets, double labelSmoothing = 0, Func<Tensor, Tensor, Tensor>? further = null) =>
        Losses(input, targets, (hidden, aims) => new(head!.LossSum(hidden, embedding.Weight, aims, labelSmoothing), null)
        {
            Further = further?.Invoke(hidden, aims),
        });

    public override LossTerms Losses(ModelInput input, Tensor targets, Func<Tensor, Tensor, LossTerms> loss)
    {
        using DisposeScope scope = NewDisposeScope();
        using AuxiliaryLosses? auxiliary = training ? new() : null;
        targets = MaskPrefix(targets).reshape(-1);
        LossTerms terms = loss(Run(input, auxiliary).reshape(-1, Options.Dim), targets); // (B, T, C) → (B·T, C)
        Tensor sum = terms.CrossEntropy;
        if (input.Observer is { } observer) sum = observer.Observe(new("", null, nameof(head), LayerKind.Head), sum);
        Tensor? extra = auxiliary?.Sum()?.mul(targets.ne(-100).sum());
        return new(sum.MoveToOuterDisposeScope(), extra?.MoveToOuterDisposeScope())
        {
            Further = terms.Further?.MoveToOuterDisposeScope(),
            Figures = terms.Figures?.MoveToOuterDisposeScope(),
        };
    }

    /// <summary>Adds the head after the stacks: initialisation draws in the order of names.</summary>
    protected void AddHead()
    {
        head = new LanguageHead(Options, VocabularySize, ComputeType);
        register_module("head", head);
    }

    protected Tensor Embed(Tensor tokens) => embedding.Rows(tokens); // (B, T) → (B, T, C)

    // All positions of the prefix but the last see the token that follows.
    private Tensor MaskPrefix(Tensor targets)
    {
        long seen = Math.Min(PrefixLength - 1, targets.size(1)), others = targets.size(1) - seen;
        // (B, T)
        return seen == 0
            ? targets
            : cat([full([targets.size(0), seen], -100, ScalarType.Int64, targets.device), targets.narrow(1, seen, others)], 1);
    }

    protected Tensor Logits(Tensor hidden) => head!.Logits(hidden, embedding.Weight); // (…, C) → (…, V)
}

internal abstract class DecodingModel(string name, ModelOptions options, int vocabularySize, ScalarType computeType)
    : TransformerModel(name, options, vocabularySize, computeType)
{
    protected abstract BlockStack DecoderStack { get; }

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
        using AttentionContext context = AttentionContext.After(state, tokens);
        Tensor hidden = DecoderStack.Run(Embed(tokens), context, state);
        state.Advance((int)tokens.size(1));
        return hidden;
    }

    // The prefix's tokens see each other, so they are computed together.
    private void RequirePrefix(long tokens)
    {
        if (tokens < PrefixLength)
            throw new UserException(
                $"the prompt has {tokens} tokens, but the model reads a prefix of {PrefixLength} together before it writes (attention " +
                $"pattern 'prefix'); give at least {PrefixLength} tokens");
    }
}

internal sealed class AttentionRecorder(string stack, List<AttentionWeights> records) : IAttentionObserver
{
    public void Observe(int layer, bool cross, Tensor weights) => records.Add(new(stack, layer, cross, weights.DetachFromDisposeScope()));
}
