// Shapes: B batch, T positions, C model dimension, H heads, P width of a head, W = H·P, G groups, N state, E = W + 2·G·N channels of the convolution.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>The Mamba-2 block (Dao and Gu 2024, arXiv 2405.21060, §7): one matrix makes everything, a short convolution, the state space, a gated norm.</summary>
/// <remarks>The rows of <c>input.weight</c> are the reference implementation's: [W gate | W heads | G·N into the state | G·N out of it | H steps].
/// Its other names for the weights: <c>logDecay</c> A_log, <c>stepBias</c> dt_bias, <c>skip</c> D. The recurrence is computed in float32 whatever
/// the model computes in.</remarks>
internal sealed class Mamba2 : Mixer, IDrawsOwnWeights
{
    private const double NormEpsilon = 1e-5, SmallestStep = 1e-3, LargestStep = 0.1, SlowestDecay = 1, FastestDecay = 16;

    private readonly CastLinear input;
    private readonly CausalConvolution convolution;
    private readonly Parameter logDecay;
    private readonly Parameter stepBias;
    private readonly Parameter skip;
    private readonly Parameter norm;
    private readonly CastLinear output;
    private readonly Mamba2Shape shape;
    private readonly int chunk;

    public Mamba2(ModelParts parts, Mamba2Options options)
        : base(nameof(Mamba2))
    {
        (shape, chunk) = (options.Shape(parts.Dim), options.Chunk);
        input = parts.Linear(parts.Dim, shape.InputRows);
        convolution = new(shape.Channels, shape.Convolution);
        logDecay = new Parameter(zeros(shape.Heads));
        stepBias = new Parameter(zeros(shape.Heads));
        skip = new Parameter(ones(shape.Heads));
        norm = new Parameter(ones(shape.Width));
        output = parts.ResidualLinear(shape.Width, parts.Dim);
        RegisterComponents();
    }

    /// <summary>As the reference implementation: decays uniform in [1, 16], steps log-uniform in [0.001, 0.1].</summary>
    public IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights =>
    [
        (nameof(logDecay), (weight, generator) => weight.uniform_(SlowestDecay, FastestDecay, generator).copy_(weight.log())),
        (nameof(stepBias), (weight, generator) =>
        {
            Tensor steps = weight.uniform_(Math.Log(SmallestStep), Math.Log(LargestStep), generator).to_type(ScalarType.Float64).exp();
            weight.copy_(steps.exp().sub(1).log()); // softplus of it is the step
        }),
    ];

    public override Tensor Mix(Tensor x, MixerContext context)
    {
        Tensor? runs = DocumentRuns.Of(context.Pass.Documents);
        var state = (Mamba2State?)context.State;
        Tensor[] rows = input.forward(x).to_type(ScalarType.Float32).split([shape.Width, shape.Channels, shape.Heads], -1); // (B, T, W), (B, T, E), (B, T, H)
        (Tensor convolved, Tensor tail) = convolution.Run(rows[1], state?.Tail, runs);
        Tensor[] channels = convolved.silu().split([shape.Width, shape.GroupWidth, shape.GroupWidth], -1); // (B, T, W), (B, T, G·N), (B, T, G·N)
        Tensor heads = channels[0].Unflatten(shape.Heads, shape.HeadDim); // (B, T, H, P)
        Tensor steps = rows[2].add(stepBias).softplus(); // (B, T, H)
        StateSpaceInput inputs = new(
            heads.mul(steps.unsqueeze(-1)),
            steps.mul(logDecay.exp().neg()),
            channels[1].Unflatten(shape.Groups, shape.StateDim),
            channels[2].Unflatten(shape.Groups, shape.StateDim))
        {
            Runs = runs,
        };
        (Tensor result, Tensor states) = state is not null && x.size(1) == 1
            ? StateSpace.Recurrent(inputs, state.States)
            : StateSpace.Chunked(inputs, state?.States, chunk); // (B, T, H, P), (B, H, P, N)
        state?.Remember(tail, states);
        Tensor sum = result.add(heads.mul(skip.unsqueeze(-1))).flatten(2); // (B, T, W)
        return output.forward(Normed(sum.mul(rows[0].silu()))); // (B, T, C)
    }

    public override LayerState NewState(int batch, int capacity, Device device) => new Mamba2State(shape, batch, device);

    // Each group of heads by itself, as the reference implementation does.
    private Tensor Normed(Tensor gated) => shape.Groups == 1
        ? Normalization.RmsNorm(gated, norm, NormEpsilon)
        : Functional.RmsNorm(gated.Unflatten(shape.Groups, shape.Width / shape.Groups), [shape.Width / shape.Groups], null, NormEpsilon).flatten(2).mul(norm);
}
