// Shapes: B batch, T positions, N = B·T tokens, C model dimension, E experts, K active experts.
using Trainer.Kernels;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>Σ weight·expert(x) over each token's experts, plus the shared experts.</summary>
internal sealed class ExpertsFeedForward : FeedForwardModule, IStepHook
{
    private readonly Router router;
    private readonly ExpertBank experts;
    private readonly FeedForwardModule? shared;
    private readonly ExpertsOptions options;
    private readonly ExpertLoad counter;

    public ExpertsFeedForward(StackContext stack, ExpertsOptions options)
        : base(nameof(ExpertsFeedForward))
    {
        this.options = options;
        counter = new(options.Experts);
        router = new(stack.Dim, options);
        experts = new(stack, options);
        // Shared experts are one layer of their total width.
        shared = options.Shared > 0
            ? Of(stack, Activation.Of(options.Activation), options.Shared * options.Width(stack.Dim), options.Bias)
            : null;
        RegisterComponents();
    }

    public IReadOnlyList<long> Load => counter.LastStep;

    /// <summary>Numbers of experts' adapters that a token is not multiplied with.</summary>
    public long IdleAdapters => experts.named_children().SelectMany(child => child.module.parameters()).Sum(parameter => parameter.numel())
        * (options.Experts - options.Active) / options.Experts;

    public override Tensor Run(Tensor x, AttentionContext context)
    {
        Tensor tokens = x.reshape(-1, x.shape[^1]); // (B, T, C) → (N, C)
        Routing routing = router.Route(tokens);
        ExpertOrder order = ExpertOrder.Of(routing.Chosen, options.Experts);
        Tensor rows = Rows.Gather(tokens, order.Order, order.Places, options.Active); // (N·K, C), by expert
        Tensor results = Rows.Gather(experts.Run(rows, order.Counts), order.Places, order.Order); // (N·K, C), by token
        Tensor sum = results.view(-1, options.Active, tokens.shape[1]).mul(routing.Weights.unsqueeze(-1)).sum(1); // (N, K, C) → (N, C)
        if (context.Auxiliary is { } auxiliary) Report(auxiliary, routing, order.Counts, x, context);
        Tensor result = sum.view(x.shape);
        return shared is null ? result : result.add(shared.Run(x, context));
    }

    public void EndStep(Tensor skip, Action<long[]>? sum = null) => router.Balance(counter.EndStep(sum), skip);

    private void Report(AuxiliaryLosses auxiliary, Routing routing, long[] counts, Tensor x, AttentionContext context)
    {
        // Padding is computed like any token, but does not count as load.
        Tensor? counted = Counted(context, x);
        if (!ActivationCheckpoint.Recomputing && !context.Repeats) counter.Add(counted is null ? counts : Counts(routing.Chosen, counted));
        if (RouterLosses.Of(options, routing, x.shape[0], counted) is { } loss) auxiliary.Add(loss);
    }

    // 1 for tokens and 0 for padding, (N), float32; null where all are tokens.
    private static Tensor? Counted(AttentionContext context, Tensor x)
    {
        if (context.Documents?.Queries is { } documents) return documents.reshape(-1).ge(0).to_type(ScalarType.Float32);
        if (context.Lengths is not { } lengths) return null;
        return context.Shared(lengths, () => arange(x.shape[1], device: x.device)
            .lt(tensor(lengths, [lengths.Length, 1]).ToDevice(x.device)) // (B, 1) → (B, T)
            .reshape(-1).to_type(ScalarType.Float32));
    }

    private long[] Counts(Tensor chosen, Tensor counted)
    {
        // Padding chooses one beyond the last.
        Tensor choices = chosen.masked_fill(counted.eq(0).unsqueeze(-1), options.Experts).reshape(-1);
        return choices.cpu().bincount(null, minlength: options.Experts + 1).data<long>().ToArray()[..options.Experts];
    }
}

/// <summary>Counts each expert's tokens in an optimizer step. Thread-safe; integer sums do not depend on the threads' order.</summary>
internal sealed class ExpertLoad(int experts)
{
    private readonly Lock gate = new();
    private long[] counting = new long[experts];

    public IReadOnlyList<long> LastStep { get; private set; } = new long[experts];

    public void Add(ReadOnlySpan<long> tokens)
    {
        lock (gate)
            for (int expert = 0; expert < counting.Length; expert++) counting[expert] += tokens[expert];
    }

    public IReadOnlyList<long> EndStep(Action<long[]>? sum)
    {
        long[] counted;
        lock (gate) (counted, counting) = (counting, new long[experts]);
        sum?.Invoke(counted);
        return LastStep = counted;
    }
}
