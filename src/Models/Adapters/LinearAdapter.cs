// Shapes: … rows of numbers, K inputs, M outputs of a part, r rank.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>The adapters of one linear layer, one for each of its matrices: a fused layer is several, one below the other.</summary>
/// <remarks>They work beside the layer, W·x + s·B·(A·x), not in its weight: that takes rank·(K + M) multiplications a token instead of the
/// gradient of a whole matrix, threads do not each hold an adapted copy of it, and the input of A can be dropped.</remarks>
internal sealed class LinearAdapter : nn.Module
{
    private readonly SortedDictionary<long, LowRankUpdate> parts = []; // by first row

    public LinearAdapter()
        : base(nameof(LinearAdapter))
    {
    }

    public IEnumerable<LowRankUpdate> Parts => parts.Values;

    public void Add(string name, LowRankUpdate part)
    {
        parts.Add(part.First, part);
        register_module(name, part);
    }

    /// <summary>What the adapted layer gives, from its own <paramref name="result"/> (…, M) for x (…, K); of the result's type.</summary>
    public Tensor Apply(Tensor result, Tensor x, LinearWeight layer, ScalarType computeType, AttentionContext? context) =>
        Apply(result, x, layer, computeType, context, part => part.Factors);

    /// <summary>As this, of one of the experts that a layer has.</summary>
    public Tensor Apply(
        Tensor result, Tensor x, LinearWeight layer, ScalarType computeType, AttentionContext? context,
        Func<LowRankUpdate, LowRankFactors> factors)
    {
        List<Tensor> pieces = [];
        long row = 0, rows = result.size(-1);
        foreach (LowRankUpdate part in parts.Values)
        {
            if (part.First > row) pieces.Add(result.narrow(-1, row, part.First - row));
            Tensor own = part.Rows == rows ? result : result.narrow(-1, part.First, part.Rows);
            Tensor? bias = layer.Bias is null ? null : part.Of(layer.Bias);
            pieces.Add(part.Apply(own, x, part.Of(layer.Weight), bias, computeType, context, factors(part)));
            row = part.First + part.Rows;
        }
        if (row < rows) pieces.Add(result.narrow(-1, row, rows - row));
        return pieces.Count == 1 ? pieces[0] : cat([.. pieces], -1);
    }

    /// <summary>The layer's weight (…, M, K) with all parts merged into it.</summary>
    public Tensor Merge(Tensor weight)
    {
        Tensor merged = weight.detach().to(ScalarType.Float32, copy: true);
        foreach (LowRankUpdate part in parts.Values) part.Of(merged).copy_(part.Merge(part.Of(merged)));
        return merged;
    }
}

/// <summary>What a matrix of rank r is made of: A (r, K) and B (M, r), and the lengths of rows, (M).</summary>
internal readonly record struct LowRankFactors(Tensor A, Tensor B, Tensor? Magnitude);

/// <summary>A matrix of rank r added to another, W + s·B·A (Hu et al. 2021), or with a magnitude m the rows of that, each brought to the
/// length m (DoRA, Liu et al. 2024, §4); one for each expert, where there are such. Field names are PEFT's, and the names in checkpoints.
/// </summary>
internal sealed class LowRankUpdate : nn.Module
{
    // Places below are those of the model's own dropout.
    private const long FirstPlace = 1 << 24;

    private readonly Parameter loraA; // (r, K), or (E, r, K)
    private readonly Parameter loraB; // (M, r), or (E, M, r)
    private readonly Parameter? magnitude; // (M), or (E, M)
    private readonly Tensor? factor; // (M), fixed
    private readonly LoraOptions options;
    private readonly int index;

    /// <summary>An update of M consecutive rows of a weight (…, K), by which nothing changes yet; <paramref name="index"/> is its place
    /// among those of the model.</summary>
    public LowRankUpdate(Tensor weight, long first, long rows, LoraOptions options, int index)
        : base(nameof(LowRankUpdate))
    {
        (this.options, this.index, First, Rows) = (options, index, first, rows);
        using DisposeScope scope = NewDisposeScope();
        using IDisposable unrecorded = no_grad();
        // As PEFT, Kaiming's with a = √5: uniform in ±1/√K. Drawn on the CPU, so that a seed means the same numbers everywhere.
        double bound = 1 / Math.Sqrt(weight.size(-1));
        long[] experts = weight.shape[..^2];
        Tensor drawn = empty([.. experts, options.Rank, weight.size(-1)]).uniform_(-bound, bound);
        loraA = new Parameter(drawn.to(weight.device).DetachFromDisposeScope());
        loraB = new Parameter(zeros([.. experts, rows, options.Rank], device: weight.device).DetachFromDisposeScope());
        magnitude = options.WeightDecomposed
            ? new Parameter(Lengths(weight.detach().narrow(-2, first, rows).to(ScalarType.Float32)).DetachFromDisposeScope())
            : null;
        RegisterComponents();
    }

    /// <summary>An update that was trained, to compute with alone; it owns its numbers, A (r, K) and B (M, r) in float32.</summary>
    /// <param name="target">The matrix that it goes on.</param>
    /// <param name="options">Of the adapter.</param>
    /// <param name="a">A.</param>
    /// <param name="b">B.</param>
    /// <param name="factor">What rows are multiplied with, (M), by <see cref="Factor"/>; null without magnitudes.</param>
    public LowRankUpdate(AdapterTarget target, LoraOptions options, Tensor a, Tensor b, Tensor? factor)
        : base(nameof(LowRankUpdate))
    {
        (this.options, this.factor, First, Rows) = (options, factor?.DetachFromDisposeScope(), target.First, target.Rows);
        loraA = new Parameter(a.DetachFromDisposeScope(), requires_grad: false);
        loraB = new Parameter(b.DetachFromDisposeScope(), requires_grad: false);
        RegisterComponents();
        eval();
    }

    public long First { get; }

    public long Rows { get; }

    /// <summary>Its rows of a layer's weight (…, M, K) or bias (M).</summary>
    public Tensor Of(Tensor layer)
    {
        int rows = layer.dim() == 1 ? 0 : -2;
        return Rows == layer.size(rows) ? layer : layer.narrow(rows, First, Rows);
    }

    /// <summary>What it is made of, where there are no experts.</summary>
    public LowRankFactors Factors => new(loraA, loraB, magnitude);

    /// <summary>What that of each expert is made of; the gradient of all is made once.</summary>
    public LowRankFactors[] FactorsOfEach()
    {
        Tensor[] a = loraA.unbind(0), b = loraB.unbind(0);
        Tensor[]? lengths = magnitude?.unbind(0);
        return [.. a.Select((first, expert) => new LowRankFactors(first, b[expert], lengths?[expert]))];
    }

    public bool Drops => options.Dropout > 0;

    /// <summary>From what the matrix alone gives, (…, M), and what it read, (…, K).</summary>
    public Tensor Apply(
        Tensor result, Tensor x, Tensor weight, Tensor? bias, ScalarType computeType, AttentionContext? context, LowRankFactors factors)
    {
        ScalarType type = x.device_type == DeviceType.CPU ? ScalarType.Float32 : computeType;
        Tensor low = Product(Dropped(x.to_type(type), context), factors.A).mul(options.Scale); // (…, K) → (…, r)
        Tensor added = Product(low, factors.B); // (…, r) → (…, M)
        // Gradients pass by the length (§4.3): it is a constant, and only the magnitude scales the direction.
        Tensor? lengthened = factor ?? factors.Magnitude?.div(AdaptedLengths(weight, factors)); // (M)
        if (lengthened is null) return result.to_type(type).add(added).to_type(result.dtype);
        Tensor own = result.to_type(ScalarType.Float32);
        Tensor scaled = (bias is null ? own : own.sub(bias)).add(added).mul(lengthened);
        return (bias is null ? scaled : scaled.add(bias)).to_type(result.dtype);
    }

    /// <summary>The matrix with the update in it: (…, M, K), float32, computed in float64.</summary>
    public Tensor Merge(Tensor weight) => Merged(weight, loraA, loraB, magnitude, options);

    public static Tensor Merged(Tensor weight, Tensor a, Tensor b, Tensor? magnitude, LoraOptions options)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = Sum(weight, a, b, options);
        if (magnitude is not null) sum = sum.mul(Wide(magnitude).div(Lengths(sum)).unsqueeze(-1));
        return sum.to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>What brings the rows of an adapted matrix to their lengths, m / ‖W + s·B·A‖: (M), float32, computed in float64.</summary>
    public static Tensor Factor(Tensor weight, Tensor a, Tensor b, Tensor magnitude, LoraOptions options)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return Wide(magnitude).div(Lengths(Sum(weight, a, b, options))).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    private static Tensor Sum(Tensor weight, Tensor a, Tensor b, LoraOptions options) =>
        Wide(weight).add(Wide(b).matmul(Wide(a)).mul(options.Scale)); // (…, M, r)·(…, r, K) → (…, M, K)

    private static Tensor Wide(Tensor numbers) => numbers.detach().to_type(ScalarType.Float64);

    private Tensor AdaptedLengths(Tensor weight, LowRankFactors factors)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = weight.detach().to_type(ScalarType.Float32).add(factors.B.detach().matmul(factors.A.detach()).mul(options.Scale));
        return Lengths(sum).MoveToOuterDisposeScope();
    }

    private static Tensor Lengths(Tensor matrix) => matrix.square().sum(-1).sqrt(); // (…, M, K) → (…, M)

    private static Tensor Product(Tensor x, Tensor weight) => x.device_type == DeviceType.CPU
        ? MixedPrecisionLinear.Apply(x, weight)
        : nn.functional.linear(x, weight.to_type(x.dtype));

    private Tensor Dropped(Tensor x, AttentionContext? context)
    {
        if (!Drops || !training) return x;
        if (context is null) throw new InvalidOperationException("Dropout of an adapter needs the pass that it belongs to.");
        return CounterDropout.Apply(x, context.Dropping.At(FirstPlace + index, options.Dropout));
    }
}
