using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>AdamW with moments of 8 bits for matrices and head; what is small, and embeddings, whose gradients are most uneven, keep
/// float32 (Dettmers et al. 2022, arXiv 2110.02861, §2.3). State names are PyTorch's, with <c>_scale</c> for the blocks' scales.</summary>
internal sealed class AdamW8Bit : Optimizer
{
    private readonly AdamWOptions options;
    private readonly ParameterState[] states;
    private readonly AdamW rest;

    public AdamW8Bit(
        AdamWOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout)
        : base(parameters, threads)
    {
        this.options = options;
        bool IsSmall((string Name, Parameter Value) parameter) =>
            !Rounds(options, layout?.Roles[parameter.Name], parameter.Value.numel());
        states =
        [
            .. from @group in ParameterGroups.Of([.. parameters.Where(p => !IsSmall(p))], options, options.WeightDecay, layout)
               from parameter in @group.Parameters
               select new ParameterState(parameter.Name, parameter.Value, BlockwiseMoments.Zero(parameter.Value), @group),
        ];
        rest = new AdamW(options, [.. parameters.Where(IsSmall)], layout: layout);
    }

    public override IReadOnlyList<string> Description =>
    [
        .. states.GroupBy(state => state.Group).Select(group =>
            $"8-bit moments, {group.Key.Description}: {ParameterGroups.Count([.. group.Select(state => (state.Name, state.Parameter))])}"),
        .. rest.Description,
    ];

    public override IEnumerable<(string Name, Tensor Value)> State => states.SelectMany(state => state.Tensors).Concat(rest.State);

    /// <summary>Whether a parameter's moments are kept in 8 bits.</summary>
    public static bool Rounds(AdamWOptions options, ParameterRole? role, long numbers) =>
        numbers >= options.FewestNumbers && role != ParameterRole.Embedding;

    /// <summary>As float32 numbers, of a matrix's number.</summary>
    public static double MomentsPerNumber => (2 + 2.0 * sizeof(float) / BlockwiseAdamW.BlockLength) / sizeof(float);

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        foreach (ParameterState state in states)
            if (share.Contains(state.Parameter) && state.Parameter.grad is { } gradient)
                Unless(skip, [state.Parameter, .. state.Tensors.Select(tensor => tensor.Value)], () => BlockwiseAdamW.Step(
                    state.Parameter, gradient, state.Moments, learningRate * state.Group.Rate, options.Betas[0], options.Betas[1],
                    state.Group.WeightDecay, options.Epsilon));
        rest.Update(share, learningRate, skip);
    }

    private sealed record ParameterState(string Name, Parameter Parameter, BlockwiseMoments Moments, ParameterGroup Group)
    {
        public IEnumerable<(string Name, Tensor Value)> Tensors =>
        [
            ($"{Name}.exp_avg", Moments.Average), ($"{Name}.exp_avg_scale", Moments.AverageScale),
            ($"{Name}.exp_avg_sq", Moments.AverageSquare), ($"{Name}.exp_avg_sq_scale", Moments.AverageSquareScale),
            ($"{Name}.step", Moments.Steps),
        ];
    }
}
