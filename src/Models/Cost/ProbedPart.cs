// Shapes: B batch, T positions, S positions of the source, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

internal enum PartKind
{
    Embeddings,
    Block,
    EncoderNorm,
    Head,
}

/// <summary>One part of a model with weights of its own, run forward and backward to measure its memory.</summary>
internal sealed class ProbedPart : IDisposable
{
    private const double Deviation = 0.02;

    private readonly PartKind kind;
    private readonly ModelOptions model;
    private readonly TrainingShape shape;
    private readonly StackContext context;
    private readonly BlockStack stack;
    private readonly TokenEmbedding? embedding;
    private readonly LanguageHead? head;
    private readonly nn.Module[] modules;

    /// <summary>A stack has the one block to measure, or none.</summary>
    public ProbedPart(PartKind kind, ModelOptions model, StackOptions stack, int vocabularySize, TrainingShape shape)
    {
        (this.kind, this.model, this.shape) = (kind, model, shape);
        context = new(model, vocabularySize, shape.ComputeType, stack.IsCausal);
        this.stack = new(stack, context) { ActivationCheckpointing = shape.ActivationCheckpointing };
        embedding = kind is PartKind.Embeddings or PartKind.Head ? new(vocabularySize, model, shape.ComputeType) : null;
        head = kind == PartKind.Head ? new(model, vocabularySize, shape.ComputeType) : null;
        modules = [.. new nn.Module?[] { this.stack, embedding, head }.OfType<nn.Module>()];
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (Parameter weight in Parameters)
            if (weight.dim() >= 2) weight.normal_(0, Deviation);
        if (shape.Adapter is { } adapter) Adapt(adapter.Options);
        foreach (Parameter weight in Parameters.Where(weight => weight.requires_grad))
            weight.grad = zeros_like(weight); // the backward pass adds to it and keeps nothing
    }

    public long Weights => Parameters.Sum(weight => weight.numel());

    public long TrainedWeights => Parameters.Where(weight => weight.requires_grad).Sum(weight => weight.numel());

    private IEnumerable<Parameter> Parameters => modules.SelectMany(module => module.parameters());

    public PartMemory Measure(ModelInput input, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        context.Masks.Clear();
        ModelInput own = model.Stacks.Count > 1 && !context.Causal ? input.Source! : input;
        Tensor x = Leaf(own.Tokens); // (B, T, C)
        EncoderMemory? memory = context.Causal && input.Source is { } source
            ? EncoderMemory.Of(Leaf(source.Tokens), source.Documents) // (B, S, C)
            : null;
        Tensor weight = rand(x.shape);
        long forward, held, kept, backward, shared;
        using (AuxiliaryLosses auxiliary = new())
        using (AttentionContext pass = AttentionContext.Over(own, auxiliary, memory: memory))
        {
            Differentiation.ReleaseGradients(); // or this backward pass would free them
            long start = CpuMemory.ResetPeak().Allocated;
            (Tensor made, Tensor objective, forward, held) = Forward(x, weight, own, targets, pass, start);
            kept = CpuMemory.Current().Allocated - start; // with the result, which the next part keeps
            made.Dispose();
            CpuMemory.ResetPeak();
            if (objective.requires_grad) Differentiation.Backward(objective);
            backward = CpuMemory.Current().PeakAllocated - start;
            objective.Dispose();
            auxiliary.Dispose();
            shared = CpuMemory.Current().Allocated;
        }
        context.Masks.Clear();
        shared -= CpuMemory.Current().Allocated;
        return new(shared, held - shared, kept - shared, forward - shared, backward - shared);
    }

    public void Dispose()
    {
        foreach (nn.Module module in modules)
        {
            module.zero_grad(); // frees gradients now, not at a collection
            module.Dispose();
        }
    }

    // The block stands for all of its kind, wherever they are in the model.
    private void Adapt(AdapterOptions options)
    {
        foreach (Parameter weight in Parameters) weight.requires_grad = false;
        (string name, nn.Module module)[] named =
            [.. stack.named_modules(), .. embedding is null ? [] : Own("embedding", embedding), .. head is null ? [] : Own("head", head)];
        Adaptation.Attach(AdapterTargets.Of(stack).Where(target => AdapterTargets.IsChosen(target, options, Places)), options);
        foreach ((string name, nn.Module module) in named)
            if ((options.Train ?? []).Any(pattern => Places(name).Any(place => AdapterTargets.Matches(pattern, place))))
                foreach (Parameter weight in module.parameters()) weight.requires_grad = true;
        Adaptation.Freeze(stack, options.BaseWeights);

        static (string, nn.Module)[] Own(string name, nn.Module module) => [(name, module)];
    }

    private IEnumerable<string> Places(string name)
    {
        const string First = "blocks.0.";
        string[] prefixes = model.Stacks.Count > 1 ? [.. model.Stacks.Select(each => $"{each.Role}.")] : [""];
        return name.StartsWith(First, StringComparison.Ordinal)
            ? prefixes.SelectMany(prefix => Enumerable.Range(0, model.Layers).Select(
                layer => $"{prefix}blocks.{layer}.{name[First.Length..]}"))
            : [name];
    }

    // The part's result, and a scalar of it to differentiate; other tensors are freed, as in the model's own forward pass.
    private (Tensor Made, Tensor Objective, long Forward, long Held) Forward(
        Tensor x, Tensor weight, ModelInput own, Tensor targets, AttentionContext pass, long start)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor made = Run(x, own, targets, pass);
        CpuMemory after = CpuMemory.Current();
        Tensor objective = made.dim() == 0 ? made.clone() : made.mul(weight).sum(); // gradients of a part's result are full tensors
        if (pass.Auxiliary!.Sum() is { } extra) objective = objective.add(extra);
        return (made.MoveToOuterDisposeScope(), objective.MoveToOuterDisposeScope(), after.PeakAllocated - start, after.Allocated - start);
    }

    private Tensor Run(Tensor x, ModelInput own, Tensor targets, AttentionContext pass) => kind switch
    {
        PartKind.Embeddings => stack.Begin(embedding!.Rows(own.Tokens), pass),
        PartKind.Block => stack.RunBlock(0, x, pass),
        PartKind.EncoderNorm => stack.End(x),
        PartKind.Head => head!.LossSum(stack.End(x), embedding!.Weight, targets.reshape(-1), shape.LabelSmoothing),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown part"),
    };

    private Tensor Leaf(Tensor tokens)
    {
        Tensor leaf = randn(tokens.size(0), tokens.size(1), model.Dim).requires_grad_(); // (B, T) → (B, T, C)
        leaf.grad = zeros_like(leaf);
        return leaf;
    }
}
