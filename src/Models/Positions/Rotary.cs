// Shapes: B batch, T positions, H heads, D head dimension, R rotary dimensions of a head, W width of a row of the table.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>Rotary positions: pairs of dimensions are rotated by angles proportional to the position, so that scores depend on distances
/// (Su et al. 2021, arXiv 2104.09864).</summary>
public sealed record RotaryOptions : PositionOptions
{
    /// <summary>Base of the frequencies: the slowest pair takes about 2π·theta positions for a rotation.</summary>
    [Description("Base of the frequencies.")]
    [Range(1.0, 1e12)]
    public double Theta { get; init; } = 10000;

    /// <summary>Part of each head that is rotated (GPT-NeoX: 0.25).</summary>
    [Description("Part of each head that is rotated.")]
    [Range(0.0, 1.0)]
    public double Fraction { get; init; } = 1;

    /// <summary>Which dimensions form a pair.</summary>
    [Description("Which dimensions are rotated together: half-split (Hugging Face) or interleaved (Meta, GPT-J).")]
    public RotaryLayout Layout { get; init; } = RotaryLayout.HalfSplit;

    /// <summary>How frequencies are scaled for a context longer than in training; null for not at all.</summary>
    [Description("How the frequencies are changed for a context longer than the one trained on before.")]
    public ScalingOptions? Scaling { get; init; }

    internal override double ScoreFactor(ModelOptions model) => Scaling?.ScoreFactor(model.ContextLength) ?? 1;

    internal override IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention)
    {
        int headDim = attention.RotaryWidth(model.Dim);
        if (headDim % 2 != 0)
            yield return new(
                "",
                $"rotary positions pair dimensions of a head, and a head has {headDim} (dim {model.Dim}, heads {attention.Heads}), " +
                "which is odd; choose dim or heads so that it is even");
        else if (RotaryDims(headDim) < 2)
            yield return new(
                "fraction",
                $"fraction ({Fraction}) of a head of {headDim} dimensions leaves no pair to turn; " +
                $"use at least {2.0 / headDim:0.####}, or position type 'none'");
        else
        {
            foreach (Problem problem in InScaling(Scaling?.Against(RotaryDims(headDim), model.ContextLength))) yield return problem;
        }
    }

    internal override IEnumerable<Problem> ValidateParts() => InScaling(Scaling?.Validate());

    internal override PositionEncoding Build(StackContext stack, AttentionOptions attention) =>
        new RotaryPositions(this, attention.RotaryWidth(stack.Dim), stack.Options.ContextLength);

    internal int RotaryDims(int headDim) => (int)(headDim * Fraction) / 2 * 2;

    private static IEnumerable<Problem> InScaling(IEnumerable<Problem>? problems) =>
        (problems ?? []).Select(problem => problem with { Path = problem.Path.Length == 0 ? "scaling" : $"scaling.{problem.Path}" });
}

/// <summary>Which dimensions of a head form a pair. Weights for one layout need their rows permuted for the other.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RotaryLayout>))]
public enum RotaryLayout
{
    /// <summary>Dimension i with dimension i + R/2 (Hugging Face, GPT-NeoX).</summary>
    [JsonStringEnumMemberName("half-split")]
    HalfSplit,

    /// <summary>Dimension 2i with dimension 2i + 1 (the paper, Meta, GPT-J).</summary>
    [JsonStringEnumMemberName("interleaved")]
    Interleaved,
}

/// <summary>Rotates queries and keys. Thread-safe.</summary>
internal sealed class RotaryPositions : PositionEncoding
{
    private readonly RotaryOptions options;
    private readonly int headDim;
    private readonly int contextLength;
    private readonly int rotaryDims;
    private readonly RotaryRotation layout;
    private readonly Lock gate = new();
    private PositionTable table;
    private int tableLength; // the length that decided the frequencies in the table

    public RotaryPositions(RotaryOptions options, int headDim, int contextLength)
        : base(nameof(RotaryPositions))
    {
        (this.options, this.headDim, this.contextLength) = (options, headDim, contextLength);
        rotaryDims = options.RotaryDims(headDim);
        layout = RotaryRotation.Of(options.Layout);
        tableLength = Deciding(0);
        table = Table(tableLength);
    }

    public override bool RotatesHeads => true;

    public override double ScoreFactor => options.Scaling?.ScoreFactor(contextLength) ?? 1;

    public override Tensor Rotate(Tensor heads, AttentionContext context)
    {
        Tensor rows = Rows(context, (int)heads.size(1), heads.device); // (T, W) or (B, T, W)
        if (rotaryDims == headDim) return layout.Rotate(heads, rows);
        Tensor[] parts = heads.split([rotaryDims, headDim - rotaryDims], -1);
        return cat([layout.Rotate(parts[0], rows), parts[1]], -1); // (B, T, H, R) + (B, T, H, D−R) → (B, T, H, D)
    }

    public override RotaryAngles? Angles(AttentionContext context, int count, Device device) =>
        new(Rows(context, count, device), rotaryDims, options.Layout == RotaryLayout.Interleaved);

    protected override void Dispose(bool disposing)
    {
        if (disposing) table.Dispose();
        base.Dispose(disposing);
    }

    private Tensor Rows(AttentionContext context, int count, Device device)
    {
        lock (gate)
        {
            // Only dynamic scaling asks for the length, which may wait for a GPU.
            int deciding = Deciding(options.Scaling is DynamicNtkScaling ? context.MaxLength : 0);
            if (deciding != tableLength)
            {
                table.Dispose();
                (table, tableLength) = (Table(deciding), deciding);
            }
            return table.Rows(context, count, device);
        }
    }

    private int Deciding(int length) => options.Scaling?.DecidingLength(contextLength, length) ?? contextLength;

    private PositionTable Table(int length)
    {
        RotaryFrequencies frequencies = RotaryFrequencies.Of(rotaryDims, options.Theta, options.Scaling, contextLength, length);
        return new(Rows, contextLength);

        Tensor Rows(Tensor positions)
        {
            Tensor angles = positions.mul(tensor(frequencies.Angular)); // (T, 1)·(R/2) → (T, R/2)
            return layout.Rows(angles.cos().mul(frequencies.AttentionFactor), angles.sin().mul(frequencies.AttentionFactor));
        }
    }
}

/// <summary>The rotation of one layout, (x₁, x₂) → (x₁·cos − x₂·sin, x₂·cos + x₁·sin).</summary>
internal abstract class RotaryRotation
{
    public abstract Tensor Rows(Tensor cos, Tensor sin); // (T, R/2) each → (T, W)

    /// <summary>(B, T, H, R) → float32 (B, T, H, R), with rows of the table (T, W) or (B, T, W).</summary>
    public abstract Tensor Rotate(Tensor heads, Tensor rows);

    public static RotaryRotation Of(RotaryLayout layout) => layout switch
    {
        RotaryLayout.HalfSplit => new HalfSplitRotation(),
        RotaryLayout.Interleaved => new InterleavedRotation(),
        _ => throw new ArgumentOutOfRangeException(nameof(layout), layout, "unknown layout"),
    };
}

internal sealed class HalfSplitRotation : RotaryRotation
{
    // The sign of the rotation is in the table: the first half of the result takes −sin of the second, the second +sin of the first.
    public override Tensor Rows(Tensor cos, Tensor sin) => cat([cos, cos, sin.neg(), sin], -1); // (T, 2R)

    public override Tensor Rotate(Tensor heads, Tensor rows)
    {
        long rotaryDims = heads.size(3);
        Tensor cos = rows.narrow(-1, 0, rotaryDims).unsqueeze(-2); // (T, 1, R) or (B, T, 1, R)
        Tensor sin = rows.narrow(-1, rotaryDims, rotaryDims).unsqueeze(-2); // (T, 1, R) or (B, T, 1, R)
        return heads.mul(cos).add(heads.roll(rotaryDims / 2, -1).mul(sin)); // (B, T, H, R)
    }
}

/// <summary>Adjacent pairs, as complex numbers: a rotation is a product with cos + i·sin, one pass over the heads.</summary>
internal sealed class InterleavedRotation : RotaryRotation
{
    public override Tensor Rows(Tensor cos, Tensor sin) => stack([cos, sin], -1).flatten(-2); // (T, R)

    public override Tensor Rotate(Tensor heads, Tensor rows)
    {
        Tensor rotations = Pairs(rows).unsqueeze(-2); // (T, 1, R/2) or (B, T, 1, R/2), complex
        return Pairs(Aligned(heads)).mul(rotations).view_as_real().flatten(-2); // (B, T, H, R/2, 2) → (B, T, H, R)
    }

    private static Tensor Pairs(Tensor x) => x.view([.. x.shape[..^1], x.size(-1) / 2, 2]).view_as_complex(); // (…, R) → (…, R/2)

    // Complex numbers are float32 and need even offsets.
    private static Tensor Aligned(Tensor heads)
    {
        Tensor single = heads.to_type(ScalarType.Float32);
        bool aligned = single.storage_offset() % 2 == 0 && single.stride()[..^1].All(step => step % 2 == 0);
        return aligned ? single : single.flatten().clone().view(single.shape);
    }
}
