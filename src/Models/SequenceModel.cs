// Shapes: B batch, T query positions, S key positions, H heads, C model dimension.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Stacks of blocks between an input and a head: all that training needs of a model, whatever it reads and predicts.</summary>
/// <remarks>Weights are float32 whatever the compute type, except in a model built for inference. Several threads may compute losses of
/// sequences of equal length at once; nothing else is thread-safe.</remarks>
public abstract class SequenceModel : nn.Module<ModelInput, Tensor>
{
    private protected SequenceModel(string name, ModelOptions options, int outputs, ScalarType computeType)
        : base(name)
    {
        Options = options;
        Outputs = outputs;
        ComputeType = computeType;
        PrefixLength = options.PrefixLength();
    }

    /// <summary>The configuration the model was built from.</summary>
    public ModelOptions Options { get; }

    /// <summary>What the head tells apart or predicts: tokens of the vocabulary, classes, or values of a forecast.</summary>
    public int Outputs { get; }

    /// <summary>The type of matrix products; int8 for matrices in blocks of 8 bits with products in float32.</summary>
    public ScalarType ComputeType { get; }

    /// <summary>Number of positions the model is trained on.</summary>
    public int ContextLength => Options.ContextLength;

    /// <summary>Length of the prefix, which the model reads as a whole and does not predict; 1 in a causal model.</summary>
    public int PrefixLength { get; }

    /// <summary>What is trained in place of the model's own weights; null where those are.</summary>
    public AdapterOptions? Adapter { get; private set; }

    /// <summary>The names of adapters beside the model's own weights, one of which each row of a batch can take.</summary>
    public IReadOnlyList<string> Adapters { get; private set; } = [];

    /// <summary>Whether training drops anything.</summary>
    public bool Drops => Options.Dropout > 0 || Adapter is LoraOptions { Dropout: > 0 };

    /// <summary>Where the weights are.</summary>
    public abstract Device Device { get; }

    /// <summary>The blocks of all stacks, in the order they run.</summary>
    public IReadOnlyList<nn.Module> Blocks => [.. Stacks.SelectMany(stack => stack.Blocks)];

    /// <summary>Whether the backward pass runs blocks again from their inputs: same bits, far less memory, a third more time.</summary>
    public bool ActivationCheckpointing
    {
        get => Stacks.All(stack => stack.ActivationCheckpointing);
        set
        {
            foreach (BlockStack stack in Stacks) stack.ActivationCheckpointing = value;
        }
    }

    private protected abstract IReadOnlyList<BlockStack> Stacks { get; }

    /// <summary>What the head makes of an input: logits of each position or of each row, or the values of a forecast; float32.</summary>
    /// <exception cref="UserException">The sequence is longer than the learned positions.</exception>
    public abstract override Tensor forward(ModelInput input);

    /// <summary>Hidden states before the head: (B, T, C), float32.</summary>
    public Tensor Hidden(ModelInput input)
    {
        using DisposeScope scope = NewDisposeScope();
        return Run(input).MoveToOuterDisposeScope();
    }

    /// <summary>Attention weights of every layer, in the order they run, without gradients; in the current dispose scope.</summary>
    public IReadOnlyList<AttentionWeights> AttentionMaps(ModelInput input)
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

    /// <summary>Summed loss of the targets that count, float32: cross entropy in nats, or the error of forecasts.</summary>
    public Tensor LossSum(ModelInput input, Tensor targets, double labelSmoothing = 0) =>
        Losses(input, targets, labelSmoothing).CrossEntropy;

    /// <summary>As <see cref="LossSum"/>, in training with the layers' auxiliary losses, and with <paramref name="further"/>: a scalar of
    /// the hidden states before the head, one to a row, and the targets that count.</summary>
    public abstract LossTerms Losses(
        ModelInput input, Tensor targets, double labelSmoothing = 0, Func<Tensor, Tensor, Tensor>? further = null);

    /// <summary>Adds one of several adapters of the same weights, which a pass names for each of its rows
    /// (<see cref="ModelInput.Adapters"/>): they are computed with, not trained. The model owns them from then on.</summary>
    internal void AddAdapter(string name, IEnumerable<(AdapterTarget Target, LowRankUpdate Update)> updates)
    {
        if (Adapter is not null) throw new InvalidOperationException("The model trains an adapter of its own.");
        if (Adapters.Contains(name)) throw new ArgumentException($"The model has an adapter '{name}' already.", nameof(name));
        foreach (var layer in updates.GroupBy(update => update.Target.Place))
        {
            LinearAdapter parts = new();
            foreach ((AdapterTarget target, LowRankUpdate update) in layer) parts.Add(target.Part, update);
            layer.Key.Attach(Adapters.Count, parts);
        }
        Adapters = [.. Adapters, name];
    }

    /// <summary>The number of an adapter; −1 for none.</summary>
    /// <exception cref="UserException">The model has no adapter of this name.</exception>
    internal int Slot(string? adapter)
    {
        if (adapter is null) return -1;
        int slot = Adapters.ToList().IndexOf(adapter);
        return slot >= 0 ? slot : throw new UserException(
            $"the model has no adapter '{adapter}'; it has {(Adapters.Count == 0 ? "none" : string.Join(", ", Adapters))}");
    }

    /// <summary>Adds adapters, drawn from libtorch's generator, by which the model computes what it did; only they and what the options
    /// name are trained from then on. Once, when the weights are there and on their device.</summary>
    /// <exception cref="ConfigurationException">A name of the options is not the model's, or a rank is more than a matrix's.</exception>
    public void Attach(AdapterOptions adapter)
    {
        if (Adapter is not null) throw new InvalidOperationException("The model has adapters already.");
        Adaptation.Apply(this, adapter);
        Adapter = adapter;
    }

    /// <summary>Keeps the matrices of blocks that are not trained in the format that their adapters say; once, behind <see cref="Attach"/>.
    /// </summary>
    /// <exception cref="UserException">The format does not fit their rows, or the device.</exception>
    public void Freeze()
    {
        if (Adapter is null) return;
        if (Adapter.BaseWeights == FrozenFormat.Int8 && Device.type != TorchSharp.DeviceType.CPU)
            throw new UserException($"adapter.baseWeights is int8, whose kernels are for CPUs, and the model is on {Device}; use bfloat16");
        foreach (nn.Module block in Blocks) Adaptation.Freeze(block, Adapter.BaseWeights);
    }

    /// <summary>Ends a step for what changes without gradients; the float32 scalar <paramref name="skip"/> is 1 for no change.
    /// <paramref name="sum"/> adds what other processes counted; null for one process. With adapters nothing changes.</summary>
    public void EndStep(Tensor skip, Action<long[]>? sum = null)
    {
        if (Adapter is not null) skip = ones_like(skip);
        foreach (IStepHook hook in modules().OfType<IStepHook>()) hook.EndStep(skip, sum);
    }

    /// <summary>What each parameter does, and which are matrices of blocks.</summary>
    public ParameterLayout ParameterLayout() => Models.ParameterLayout.Of(this);

    /// <summary>Tokens of each expert in the step that <see cref="EndStep"/> ended last, an entry for each layer of experts.</summary>
    public IReadOnlyList<ExpertReport> Experts() =>
        [.. named_modules().Where(entry => entry.module is ExpertsFeedForward).Select(
            entry => new ExpertReport(entry.name, ((ExpertsFeedForward)entry.module).Load))];

    /// <summary>Each attention layer's kernel for a whole sequence, in the current mode and device.</summary>
    /// <exception cref="UserException">A kernel is required that cannot run here; the message says why.</exception>
    public IReadOnlyList<KernelReport> Kernels(int? length = null) =>
        [.. Stacks.SelectMany(stack => stack.Kernels(length ?? ContextLength, Device))];

    /// <summary>Runs embeddings and stacks: (B, T, C), in the current scope. <paramref name="observe"/> gets a stack's role.</summary>
    private protected abstract Tensor Run(
        ModelInput input, AuxiliaryLosses? auxiliary = null, Func<string, IAttentionObserver>? observe = null);

    private protected void RegisterChildren(BlockStack stack)
    {
        foreach (var (name, part) in stack.named_children()) register_module(name, part);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            foreach (BlockStack stack in Stacks) stack.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>The reported loss and the layers' auxiliary losses, summed over targets in nats: float32 scalars on the device.</summary>
public readonly record struct LossTerms(Tensor CrossEntropy, Tensor? Auxiliary)
{
    /// <summary>The further loss that was asked for, which is no part of the objective yet; null for none.</summary>
    public Tensor? Further { get; init; }

    /// <summary>Sums that are reported with the loss, (K), such as how many rewards are right; null for none.</summary>
    public Tensor? Figures { get; init; }

    /// <summary>What is minimised.</summary>
    public Tensor Objective => Auxiliary is null ? CrossEntropy : CrossEntropy.add(Auxiliary);
}

/// <summary>Weights of a layer, from 0, of the stack <c>decoder</c> or <c>encoder</c>: (B, H, T, S), float32; rows sum to 1.</summary>
public sealed record AttentionWeights(string Stack, int Layer, bool Cross, Tensor Weights);

/// <summary>The kernel of a layer, from 0 in its stack; <c>Backend</c> is libtorch's, null for a kernel of our own.</summary>
public sealed record KernelReport(int Layer, string Kernel, AttentionBackend? Backend)
{
    /// <summary>The stack of blocks: <c>decoder</c> or <c>encoder</c>.</summary>
    public string Stack { get; init; } = "decoder";

    /// <summary>Whether it is attention to an encoder's output.</summary>
    public bool Cross { get; init; }
}

internal readonly record struct KernelChoice(string Kernel, AttentionBackend? Backend);

/// <summary>Tokens of each expert in one optimizer step; the layer's name is such as <c>blocks.3.feedForward</c>.</summary>
public sealed record ExpertReport(string Layer, IReadOnlyList<long> Tokens)
{
    /// <summary>Tokens of the busiest expert over the mean: 1 if balanced, experts / active experts at worst.</summary>
    public double Busiest => Tokens.Sum() is var sum and > 0 ? (double)Tokens.Max() * Tokens.Count / sum : 0;

    /// <summary>Experts without tokens.</summary>
    public int Idle => Tokens.Count(count => count == 0);
}

/// <summary>A module that changes after each optimizer step by what it saw, not by a gradient.</summary>
internal interface IStepHook
{
    /// <summary>Ends a step; <paramref name="skip"/> is a float32 scalar on the device, 1 if nothing may change.</summary>
    void EndStep(Tensor skip, Action<long[]>? sum = null);
}
