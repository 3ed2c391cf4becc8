// Shapes: (…, R, C) matrices of R rows and C columns, an expert's in a bank.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Runtime.Intrinsics.X86;
using System.Text.Json.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>Muon: the momentum of each matrix inside a block, orthogonalised; AdamW for embeddings, head and vectors (Jordan et al. 2024,
/// kellerjordan.github.io/posts/muon; weight decay and learning rates as Liu et al. 2025, Moonlight, arXiv 2502.16982).</summary>
/// <remarks>Fused projections are taken apart: query, key and value, gate and up, and every expert are matrices of their own.</remarks>
public sealed record MuonOptions : OptimizerOptions, IValidated
{
    /// <inheritdoc/>
    public override bool NeedsWholeMatrices => true;

    internal override bool NeedsWhole(ParameterRole role, long numbers) =>
        role == ParameterRole.Matrix || Rest.NeedsWhole(role, numbers);

    /// <summary>What remains of the momentum each step.</summary>
    [Description("What remains of the momentum each step.")]
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public double Momentum { get; init; } = 0.95;

    /// <summary>Whether the step looks ahead by the momentum (Nesterov 1983).</summary>
    [Description("Whether the step looks ahead by the momentum (Nesterov).")]
    public bool Nesterov { get; init; } = true;

    /// <summary>Share of each matrix, times the learning rate, taken away every step.</summary>
    [Description("Weight decay of the matrices in blocks; adamw has that of the others.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>How the learning rate of a matrix follows from its shape.</summary>
    [Description("How the learning rate of a matrix follows from its shape: moonlight, so that updates are as large as AdamW's in a " +
        "large model, or original, for learning rates about 0.02.")]
    public MuonScale Scale { get; init; } = MuonScale.Moonlight;

    /// <summary>Whether each head of queries, keys and values is a matrix of its own.</summary>
    [Description("Whether each head of queries, keys and values is orthogonalised for itself.")]
    public bool PerHead { get; init; }

    /// <summary>Newton–Schulz steps.</summary>
    [Description("Steps of the Newton-Schulz iteration that orthogonalises.")]
    [Range(1, 20)]
    public int Iterations { get; init; } = 5;

    /// <summary>The type of the iteration's products; null for bfloat16 where it is fast, which is on GPUs and on processors with AVX-512,
    /// else float32.</summary>
    [Description("The number format of the iteration's products: bfloat16 or float32; by default bfloat16 on GPUs and on processors with " +
        "AVX-512, where it is fast, else float32.")]
    public Precision? Precision { get; init; }

    /// <summary>The optimizer of all other parameters; null for AdamW with this learning rate and weight decay.</summary>
    [Description("AdamW for embeddings, head and vectors, with a learning rate of its own that follows the same schedule; by default " +
        "with the learning rate and weight decay above.")]
    public AdamWOptions? Adamw { get; init; }

    // One for a matrix, two for the rest, which in most models is the smaller part.
    private protected override double Moments(ParameterCounts parameters) =>
        parameters.Matrices + Rest.StateNumbers(parameters with { Matrices = 0 });

    internal AdamWOptions Rest => (Adamw ?? new() { LearningRate = LearningRate, WeightDecay = WeightDecay }) with
    {
        Groups = Groups is null ? null : Groups with { Matrices = null },
    };

    private protected override Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout) =>
        new Muon(this, parameters, layout ?? throw new ArgumentNullException(
            nameof(layout), "Muon has to know which parameters are matrices of blocks."), threads);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Precision is Models.Devices.Precision.Tf32)
            yield return new("precision", "is tf32, which training.precision alone sets; use bfloat16 or float32");
        if (Adamw?.Groups is not null)
            yield return new("adamw.groups", "belongs to the whole optimizer; move it up to optimizer.groups");
        if (Adamw?.Average is not null)
            yield return new("adamw.average", "belongs to the whole optimizer; move it up to optimizer.average");
        if (Nesterov && Momentum == 0)
            yield return new("nesterov", "is true, but momentum is 0, so that there is nothing to look ahead by; set it to false");
    }
}

/// <summary>What a matrix's learning rate is multiplied with.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MuonScale>))]
public enum MuonScale
{
    /// <summary>0.2·√max(R, C), which gives an update the root mean square of AdamW's (Liu et al. 2025, §2.2).</summary>
    [JsonStringEnumMemberName("moonlight")]
    Moonlight,

    /// <summary>√max(1, R/C), as in the author's code.</summary>
    [JsonStringEnumMemberName("original")]
    Original,
}

/// <summary>State names are the author's (<c>momentum_buffer</c>) and AdamW's.</summary>
internal sealed class Muon : Optimizer
{
    private readonly MuonOptions options;
    private readonly MatrixState[] states;
    private readonly Optimizer rest;
    private readonly double restRate;
    private readonly double rate;
    private readonly double weightDecay;

    public Muon(
        MuonOptions options, IReadOnlyList<(string Name, Parameter Value)> parameters, ParameterLayout layout,
        WorkerThreads? threads = null)
        : base(parameters, threads)
    {
        this.options = options;
        restRate = options.Rest.LearningRate / options.LearningRate;
        Dictionary<string, HiddenMatrix> hidden = layout.Matrices.ToDictionary(matrix => matrix.Name);
        if (options.PerHead && !layout.Matrices.Any(matrix => matrix.Parts.Any(part => part.Heads > 1)))
            throw new UserException("optimizer.perHead is true, but no matrix of this model has several heads; set it to false");
        states = [.. parameters.Where(p => hidden.ContainsKey(p.Name)).Select(p => NewMatrixState(p, hidden[p.Name]))];
        rest = options.Rest.Build([.. parameters.Where(p => !hidden.ContainsKey(p.Name))], layout: layout);
        rate = (options.Groups?.Matrices?.LearningRate ?? options.LearningRate) / options.LearningRate;
        weightDecay = options.Groups?.Matrices?.WeightDecay ?? options.WeightDecay;
    }

    public override IReadOnlyList<string> Description =>
    [
        $"muon, {(rate == 1 ? "" : $"learning rate {rate * options.LearningRate}, ")}weight decay {weightDecay}: " +
            $"{ParameterGroups.Count([.. states.Select(state => (state.Name, state.Parameter))])} " +
            $"in {states.Sum(state => state.Matrices):N0} matrices{Products}",
        .. rest.Description.Select(line => $"adamw, {line}"),
    ];

    private string Products =>
        states is [var first, ..] ? $", products in {ProductType(first.Parameter.device).ToString().ToLowerInvariant()}" : "";

    public override IEnumerable<(string Name, Tensor Value)> State =>
        states.Select(state => ($"{state.Name}.momentum_buffer", state.Momentum)).Concat(rest.State);

    protected internal override void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip)
    {
        foreach (MatrixState state in states)
            if (share.Contains(state.Parameter) && state.Parameter.grad is { } gradient)
                Unless(skip, [state.Parameter, state.Momentum], () => Move(state, gradient, learningRate * rate));
        rest.Update(share, learningRate * restRate, skip);
    }

    private ScalarType ProductType(Device device) => options.Precision?.ToComputeType() ?? NewtonSchulz.FastType(device);

    private void Move(MatrixState state, Tensor gradient, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        state.Momentum.lerp_(gradient, 1 - options.Momentum);
        Tensor direction = options.Nesterov ? gradient.lerp(state.Momentum, options.Momentum) : state.Momentum;
        if (weightDecay != 0) state.Parameter.mul_(1 - learningRate * weightDecay);

        ScalarType type = ProductType(gradient.device);
        long row = 0;
        foreach ((long rows, long count) in state.Parts)
        {
            Tensor matrices = direction.narrow(-2, row, rows * count); // (…, N·R, C)
            if (count > 1) matrices = matrices.unflatten(matrices.dim() - 2, count, rows); // (…, N, R, C)
            Tensor update = NewtonSchulz.Orthogonalize(matrices, options.Iterations, type);
            if (count > 1) update = update.flatten(update.dim() - 3, update.dim() - 2); // (…, N·R, C)
            state.Parameter.narrow(-2, row, rows * count).add_(update, alpha: -learningRate * Scale(rows, gradient.size(-1)));
            row += rows * count;
        }
    }

    private double Scale(long rows, long columns) => options.Scale == MuonScale.Moonlight
        ? 0.2 * Math.Sqrt(Math.Max(rows, columns))
        : Math.Sqrt(Math.Max(1, (double)rows / columns));

    private MatrixState NewMatrixState((string Name, Parameter Value) parameter, HiddenMatrix matrix)
    {
        long rows = matrix.Parts.Sum(part => part.Rows);
        if (parameter.Value.dim() < 2 || parameter.Value.size(-2) != rows)
            throw new ArgumentException(
                $"{parameter.Name} should have {rows} rows, but is [{string.Join(", ", parameter.Value.shape)}]", nameof(matrix));
        (long, long)[] parts = options.PerHead
            ? [.. matrix.Parts.Select(part => (part.Rows / part.Heads, (long)part.Heads))]
            : [.. matrix.Parts.Select(part => (part.Rows, 1L))];
        return new(parameter.Name, parameter.Value, NewState(parameter.Value.shape, parameter.Value.device), Joined(parts));
    }

    // Neighbours of one shape, such as gate and up, are orthogonalised in one call.
    private static (long Rows, long Count)[] Joined(IEnumerable<(long Rows, long Count)> parts)
    {
        List<(long Rows, long Count)> joined = [];
        foreach ((long rows, long count) in parts)
        {
            if (joined is [.., var (last, times)] && last == rows) joined[^1] = (rows, times + count);
            else joined.Add((rows, count));
        }
        return [.. joined];
    }

    private sealed record MatrixState(string Name, Parameter Parameter, Tensor Momentum, IReadOnlyList<(long Rows, long Count)> Parts)
    {
        public long Matrices => Parts.Sum(part => part.Count) * Parameter.shape[..^2].Aggregate(1L, (product, extent) => product * extent);
    }
}

/// <summary>The nearest orthogonal matrix, roughly: singular values come out between about 0.7 and 1.2, which serves as well as 1.</summary>
internal static class NewtonSchulz
{
    // The odd polynomial a·x + b·x³ + c·x⁵ that rises fastest at 0 (Jordan et al. 2024).
    private const double A = 3.4445, B = -4.7750, C = 2.0315, Epsilon = 1e-7;

    /// <summary>The type that products of a matrix's size are fastest in: without AVX-512 libtorch multiplies bfloat16 number by number.
    /// </summary>
    public static ScalarType FastType(Device device) =>
        device.type == DeviceType.CPU && !Avx512BW.IsSupported ? ScalarType.Float32 : ScalarType.BFloat16;

    /// <summary>(…, R, C) → (…, R, C), every matrix for itself.</summary>
    public static Tensor Orthogonalize(Tensor matrices, int iterations, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        bool tall = matrices.size(-2) > matrices.size(-1);
        Tensor norm = matrices.square().sum([-2, -1], keepdim: true).sqrt_().add_(Epsilon);
        Tensor x = matrices.div(norm).to(type); // singular values of at most 1
        if (tall) x = x.transpose(-2, -1);
        x = (matrices.dim() > 2 ? x.flatten(0, x.dim() - 3) : x).contiguous();
        for (int i = 0; i < iterations; i++)
        {
            using DisposeScope step = NewDisposeScope();
            Tensor square = x.matmul(x.transpose(-2, -1)); // X·Xᵀ
            x = Combined(x, Combined(square, square, square, B, C), x, A, 1).MoveToOuterDisposeScope();
        }
        if (tall) x = x.transpose(-2, -1);
        return x.reshape(matrices.shape).to(matrices.dtype).MoveToOuterDisposeScope();
    }

    // β·sum + α·(left·right). TorchSharp's order of arguments differs between the two.
    private static Tensor Combined(Tensor sum, Tensor left, Tensor right, double beta, double alpha) => sum.dim() == 2
        ? addmm(sum, left, right, (float)beta, (float)alpha)
        : left.baddbmm(right, sum, (float)beta, (float)alpha);
}
