// Shapes: B batch, T positions, C model dimension, H heads, P width of a head, W = H·P, G groups, N state, E = W + 2·G·N channels of the
// convolution, K positions it looks at.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>Mamba-2: a recurrence whose decay, input and output depend on the token (Dao and Gu 2024, arXiv 2405.21060).</summary>
public sealed record Mamba2Options : MixerOptions
{
    /// <summary>Size of the state for each number of a head, N.</summary>
    [Description("Numbers the state holds for each number of a head (Mamba-2: 128).")]
    [Range(1, 65536)]
    public int StateDim { get; init; } = 64;

    /// <summary>Width of a head, P, whose numbers decay alike.</summary>
    [Description("Width of a head, all of whose numbers decay alike; it must divide expand·dim.")]
    [Range(1, 65536)]
    public int HeadDim { get; init; } = 64;

    /// <summary>Width of all heads together, in multiples of dim.</summary>
    [Description("Width of all heads together, as a multiple of dim.")]
    [Range(1, 64)]
    public int Expand { get; init; } = 2;

    /// <summary>Groups of heads that share the input and output projections of their states, G.</summary>
    [Description(
        "Groups of heads that share what goes into and comes out of their states; " +
        "it must divide the number of heads, expand·dim / headDim.")]
    [Range(1, 4096)]
    public int Groups { get; init; } = 1;

    /// <summary>Width of the convolution before the recurrence, the current position included.</summary>
    [Description("Positions that the convolution before the recurrence looks at, the present one included.")]
    [Range(1, 1024)]
    public int Convolution { get; init; } = 4;

    /// <summary>Positions computed together as matrix products; it changes speed and memory, not the result.</summary>
    [Description("Positions that are computed together; it changes speed and memory, not the result.")]
    [Range(1, 65536)]
    public int Chunk { get; init; } = 64;

    internal override bool Attends => false;

    internal override bool OnlyLooksBack => true;

    internal override string Component => "stateSpace";

    internal Mamba2Shape Shape(int dim) => new(Expand * dim, HeadDim, StateDim, Groups, Convolution);

    internal override IEnumerable<Problem> Against(ModelOptions model)
    {
        int width = Expand * model.Dim;
        if (width % HeadDim != 0)
            yield return new(
                "headDim",
                $"headDim ({HeadDim}) must divide expand · dim ({Expand} · {model.Dim} = {width}); try {Divisors.Near(width, HeadDim)}");
        else if (width / HeadDim % Groups != 0)
            yield return new(
                "groups",
                $"groups ({Groups}) must divide the number of heads, expand · dim / headDim ({width / HeadDim}); try " +
                $"{Divisors.Near(width / HeadDim, Groups)}");
    }

    internal override PartCost Cost(ModelOptions model, LayerOptions layer)
    {
        Mamba2Shape shape = Shape(model.Dim);
        long convolution = (long)shape.Channels * Convolution, state = shape.StateNumbers;
        PartCost linear = PartCost.Linear(model.Dim, shape.InputRows, model.Bias) + PartCost.Linear(shape.Width, model.Dim, model.Bias);
        return linear + new PartCost(convolution + shape.Channels + 3L * shape.Heads + shape.Width, convolution)
        {
            // In a chunk input and output projections are multiplied for each pair of positions, and the weights with the heads; each
            // position writes to the chunk's state and reads the one before.
            FlopsPerToken = 2L * Chunk * ((long)Groups * StateDim + shape.Width) + 4 * state,
        };
    }

    internal override LayerMemory Memory(ModelOptions model, LayerOptions layer) =>
        new(0, ConstantBytes: sizeof(float) * Shape(model.Dim).CachedNumbers);

    internal override Mixer Build(StackContext stack, LayerOptions layer) => new Mamba2(stack, this);
}

/// <summary>Width W = H·P of all heads, P of a head, state N for each of its numbers, groups G, and positions of the convolution.</summary>
internal readonly record struct Mamba2Shape(int Width, int HeadDim, int StateDim, int Groups, int Convolution)
{
    public int Heads => Width / HeadDim;

    public int GroupWidth => Groups * StateDim;

    public int Channels => Width + 2 * GroupWidth;

    public int InputRows => Width + Channels + Heads;

    public long StateNumbers => (long)Width * StateDim;

    /// <summary>Numbers cached of one sequence: states, and the channels the convolution still reads.</summary>
    public long CachedNumbers => StateNumbers + (Convolution - 1L) * Channels;
}

/// <summary>The Mamba-2 block (Dao and Gu 2024, arXiv 2405.21060, §7); the recurrence is float32 whatever the compute type.</summary>
/// <remarks>The rows of <c>input.weight</c> are the reference implementation's: [W gate | W heads | G·N state input | G·N state output | H
/// steps]. Its names for the other weights: <c>logDecay</c> A_log, <c>stepBias</c> dt_bias, <c>skip</c> D.</remarks>
internal sealed class Mamba2 : Mixer, IDrawsOwnWeights, IFusesMatrices
{
    private const double NormEpsilon = 1e-5, SmallestStep = 1e-3, LargestStep = 0.1, SlowestDecay = 1, FastestDecay = 16;

    private readonly MixedLinear input;
    private readonly CausalConvolution convolution;
    private readonly Parameter logDecay;
    private readonly Parameter stepBias;
    private readonly Parameter skip;
    private readonly Parameter norm;
    private readonly MixedLinear output;
    private readonly Mamba2Shape shape;
    private readonly int chunk;

    public Mamba2(StackContext stack, Mamba2Options options)
        : base(nameof(Mamba2))
    {
        (shape, chunk) = (options.Shape(stack.Dim), options.Chunk);
        input = stack.Linear(stack.Dim, shape.InputRows);
        convolution = new(shape.Channels, shape.Convolution);
        logDecay = new Parameter(zeros(shape.Heads));
        stepBias = new Parameter(zeros(shape.Heads));
        skip = new Parameter(ones(shape.Heads));
        norm = new Parameter(ones(shape.Width));
        output = stack.ResidualLinear(shape.Width, stack.Dim);
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

    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices =>
    [
        ($"{nameof(input)}.weight",
            [new(shape.Width), new(shape.Width), new(shape.GroupWidth), new(shape.GroupWidth), new(shape.Heads)]),
    ];

    public override Tensor Mix(Tensor x, MixerContext context)
    {
        Tensor? runs = DocumentIds.Runs(context.Attention.Documents);
        var state = (Mamba2State?)context.State;
        // (B, T, W), (B, T, E), (B, T, H)
        Tensor all = input.Forward(x, context.Attention).to_type(ScalarType.Float32);
        Tensor[] rows = all.split([shape.Width, shape.Channels, shape.Heads], -1);
        (Tensor convolved, Tensor tail) = convolution.Run(rows[1], state?.Tail, runs);
        // (B, T, W), (B, T, G·N), (B, T, G·N)
        Tensor[] channels = convolved.silu().split([shape.Width, shape.GroupWidth, shape.GroupWidth], -1);
        Tensor heads = Unflatten(channels[0], shape.Heads, shape.HeadDim); // (B, T, H, P)
        Tensor steps = rows[2].add(stepBias).softplus(); // (B, T, H)
        StateSpaceInput inputs = new(
            heads.mul(steps.unsqueeze(-1)),
            steps.mul(logDecay.exp().neg()),
            Unflatten(channels[1], shape.Groups, shape.StateDim),
            Unflatten(channels[2], shape.Groups, shape.StateDim))
        {
            Runs = runs,
        };
        (Tensor result, Tensor states) = state is not null && x.size(1) == 1
            ? StateSpace.Recurrent(inputs, state.States)
            : StateSpace.Chunked(inputs, state?.States, chunk); // (B, T, H, P), (B, H, P, N)
        state?.Update(tail, states);
        Tensor sum = result.add(heads.mul(skip.unsqueeze(-1))).flatten(2); // (B, T, W)
        return output.Forward(Normed(sum.mul(rows[0].silu())), context.Attention); // (B, T, W) → (B, T, C)
    }

    public override LayerState NewState(int batch, int capacity, Device device) => new Mamba2State(shape, batch, device);

    // (…, count·width) → (…, count, width)
    private static Tensor Unflatten(Tensor x, long count, long width) => x.reshape([.. x.shape[..^1], count, width]);

    // Each group of heads separately, as in the reference implementation.
    private Tensor Normed(Tensor gated)
    {
        if (shape.Groups == 1) return Normalization.RmsNorm(gated, norm, NormEpsilon);
        int width = shape.Width / shape.Groups;
        return Functional.RmsNorm(Unflatten(gated, shape.Groups, width), [width], null, NormEpsilon).flatten(2).mul(norm);
    }
}

/// <summary>A depthwise convolution; the weight is (E, 1, K) as in torch's Conv1d, the current position last.</summary>
internal sealed class CausalConvolution : nn.Module, IDrawsOwnWeights
{
    private readonly Parameter weight;
    private readonly Parameter bias;
    private readonly int channels;
    private readonly int positions;

    public CausalConvolution(int channels, int positions)
        : base(nameof(CausalConvolution))
    {
        (this.channels, this.positions) = (channels, positions);
        weight = new Parameter(zeros(channels, 1, positions));
        bias = new Parameter(zeros(channels));
        RegisterComponents();
    }

    /// <summary>As torch's Conv1d: uniform in ±1/√K.</summary>
    public IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights => [(nameof(weight), Draw), (nameof(bias), Draw)];

    /// <summary>Convolves (B, T, E) after the <paramref name="tail"/>, each document of <paramref name="runs"/> by itself.</summary>
    public (Tensor Result, Tensor Tail) Run(Tensor x, Tensor? tail, Tensor? runs)
    {
        tail ??= zeros(x.size(0), positions - 1, channels, dtype: x.dtype, device: x.device);
        Tensor all = cat([tail, x], 1); // (B, K−1+T, E)
        return (runs is null ? Convolved(all) : Apart(all, runs), all.narrow(1, x.size(1), positions - 1));
    }

    private Tensor Convolved(Tensor all) =>
        nn.functional.conv1d(all.transpose(1, 2), weight, bias, groups: channels).transpose(1, 2); // (B, E, K−1+T) → (B, E, T) → (B, T, E)

    private Tensor Apart(Tensor all, Tensor runs)
    {
        long length = runs.size(1);
        Tensor before = runs.narrow(1, 0, 1).expand(-1, positions - 1); // the tail is of the first document
        Tensor allRuns = cat([before, runs], 1); // (B, K−1+T)
        Tensor result = bias;
        for (int k = 0; k < positions; k++)
        {
            Tensor apart = allRuns.narrow(1, k, length).ne(runs).unsqueeze(-1); // (B, T, 1)
            result = result.add(all.narrow(1, k, length).masked_fill(apart, 0).mul(weight.select(2, k).squeeze(1))); // (B, T, E)
        }
        return result;
    }

    private void Draw(Tensor values, Generator? generator) =>
        values.uniform_(-1 / Math.Sqrt(positions), 1 / Math.Sqrt(positions), generator);
}

internal sealed class Mamba2State : LayerState
{
    public Mamba2State(Mamba2Shape shape, int batch, Device device)
    {
        Tail = Constants.Own(() => zeros(batch, shape.Convolution - 1, shape.Channels, device: device));
        States = Constants.Own(() => zeros(batch, shape.Heads, shape.HeadDim, shape.StateDim, device: device));
    }

    private Mamba2State(Tensor tail, Tensor states) => (Tail, States) = (tail, states);

    /// <summary>The last channels, which the convolution still reads: (B, K − 1, E), float32.</summary>
    public Tensor Tail { get; private set; }

    public Tensor States { get; private set; } // (B, H, P, N), float32

    public override long Bytes => Tail.numel() * Tail.element_size() + States.numel() * States.element_size();

    public void Update(Tensor tail, Tensor states)
    {
        Tail.copy_(tail);
        States.copy_(states);
    }

    public override void Reorder(Tensor rows)
    {
        Tail = Chosen(Tail, rows);
        States = Chosen(States, rows);
    }

    public override LayerState AppendTo(LayerState? batch)
    {
        var rows = (Mamba2State?)batch;
        return new Mamba2State(Joined(rows?.Tail, Tail), Joined(rows?.States, States));
    }

    public override void Dispose()
    {
        Tail.Dispose();
        States.Dispose();
    }

    private static Tensor Chosen(Tensor old, Tensor rows)
    {
        Tensor chosen = Constants.Own(() => old.index_select(0, rows.to(old.device)));
        old.Dispose();
        return chosen;
    }
}
