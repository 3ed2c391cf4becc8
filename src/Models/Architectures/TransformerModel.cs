// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What the three architectures have in common: token embeddings before the stacks of blocks, the head and the loss after them.</summary>
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

    /// <summary>The stacks that this model runs, for reports.</summary>
    protected abstract IReadOnlyList<BlockStack> Stacks { get; }

    public override Device Device => embedding.Weight.device;

    public override bool ActivationCheckpointing
    {
        get => Stacks.All(stack => stack.Recomputes);
        set
        {
            foreach (BlockStack stack in Stacks) stack.Recomputes = value;
        }
    }

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

    public override Tensor Hidden(ModelInput input)
    {
        using DisposeScope scope = NewDisposeScope();
        return Run(input).MoveToOuterDisposeScope();
    }

    public override Tensor LogitsOf(Tensor hidden)
    {
        using DisposeScope scope = NewDisposeScope();
        return Logits(hidden).MoveToOuterDisposeScope();
    }

    public override LossTerms Losses(ModelInput input, Tensor targets, double labelSmoothing = 0)
    {
        using DisposeScope scope = NewDisposeScope();
        using AuxiliaryLosses? auxiliary = training ? new() : null;
        targets = BehindPrefix(targets);
        Tensor loss = head!.LossSum(Run(input, auxiliary), embedding.Weight, targets.reshape(-1), labelSmoothing);
        Tensor? extra = auxiliary?.Sum()?.mul(targets.ne(-100).sum());
        return new(loss.MoveToOuterDisposeScope(), extra?.MoveToOuterDisposeScope());
    }

    public override IReadOnlyList<KernelReport> Kernels(int? length = null) =>
        [.. Stacks.SelectMany(stack => stack.Kernels(length ?? ContextLength, Device))];

    public override IReadOnlyList<AttentionWeights> AttentionMaps(ModelInput input)
    {
        using DisposeScope scope = NewDisposeScope();
        using var gradients = no_grad();
        List<AttentionWeights> records = [];
        Run(input, observe: stack => new AttentionRecorder(stack, records));
        foreach (AttentionWeights record in records)
        {
            scope.Attach(record.Weights);
            record.Weights.MoveToOuterDisposeScope();
        }
        return records;
    }

    /// <summary>Runs embeddings and stacks.</summary>
    /// <param name="input">What the model reads.</param>
    /// <param name="auxiliary">Collects what layers want added to the objective.</param>
    /// <param name="observe">Makes the listener of a stack.</param>
    /// <returns>(B, T, C), in the current scope.</returns>
    protected abstract Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary = null, Func<string, IAttentionObserver>? observe = null);

    /// <summary>Registers a stack's parts under the model's own name, for models of one stack.</summary>
    protected void Adopt(BlockStack stack)
    {
        foreach (var (name, part) in stack.named_children()) register_module(name, part);
    }

    /// <summary>Adds the head: last, after the stacks, as initialisation draws in the order of names.</summary>
    protected void AddHead()
    {
        head = new LanguageHead(Options, VocabularySize, ComputeType);
        register_module("head", head);
    }

    /// <summary>(B, T) → (B, T, C)</summary>
    protected Tensor Embed(Tensor tokens) => embedding.Rows(tokens);

    // Each place of the prefix but its last sees the token that follows it.
    private Tensor BehindPrefix(Tensor targets)
    {
        long seen = Math.Min(PrefixLength - 1, targets.size(1)), others = targets.size(1) - seen;
        return seen == 0 ? targets : cat([full([targets.size(0), seen], -100, ScalarType.Int64, targets.device), targets.narrow(1, seen, others)], 1); // (B, T)
    }

    /// <summary>(…, C) → (…, V)</summary>
    protected Tensor Logits(Tensor hidden) => head!.Logits(hidden, embedding.Weight);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            foreach (BlockStack stack in Stacks) stack.Dispose();
        base.Dispose(disposing);
    }
}
