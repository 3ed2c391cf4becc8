using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Positions.Scaling;

namespace Trainer.Models.Positions;

/// <summary>Turns pairs of dimensions of queries and keys by angles proportional to their position, so that scores depend on
/// distance alone (Su et al. 2021, arXiv 2104.09864).</summary>
public sealed record RotaryOptions : PositionOptions
{
    /// <summary>Base of the frequencies: the slowest pair takes about 2π·theta positions for a turn.</summary>
    [Description("Base of the frequencies.")]
    [Range(1.0, 1e12)]
    public double Theta { get; init; } = 10000;

    /// <summary>Part of each head that is turned; the rest carries no position (GPT-NeoX: 0.25).</summary>
    [Description("Part of each head that is turned.")]
    [Range(0.0, 1.0)]
    public double Fraction { get; init; } = 1;

    /// <summary>Which dimensions of a head turn together.</summary>
    [Description("Which dimensions turn together: half-split (Hugging Face) or interleaved (Meta, GPT-J).")]
    public RotaryLayout Layout { get; init; } = RotaryLayout.HalfSplit;

    /// <summary>How the frequencies are changed for a context longer than the one trained on before; null for not at all.</summary>
    [Description("How the frequencies are changed for a context longer than the one trained on before.")]
    public ScalingOptions? Scaling { get; init; }

    internal override double ScoreFactor(ModelOptions model) => Scaling?.ScoreFactor(model.ContextLength) ?? 1;

    internal override IEnumerable<Problem> Against(ModelOptions model, AttentionOptions attention)
    {
        int headDim = attention.TurnedWidth(model.Dim);
        if (headDim % 2 != 0)
            yield return new("", $"rotary positions pair dimensions of a head, and a head has {headDim} (dim {model.Dim}, heads {attention.Heads}), which is odd; choose dim or heads so that it is even");
        else if (TurnedDims(headDim) < 2)
            yield return new("fraction", $"fraction ({Fraction}) of a head of {headDim} dimensions leaves no pair to turn; use at least {2.0 / headDim:0.####}, or position type 'none'");
        else
        {
            foreach (Problem problem in InScaling(Scaling?.Against(TurnedDims(headDim), model.ContextLength))) yield return problem;
        }
    }

    internal override IEnumerable<Problem> ValidateParts() => InScaling(Scaling?.Validate());

    internal override PositionEncoding Build(ModelParts parts, AttentionOptions attention) =>
        new RotaryPositions(this, attention.TurnedWidth(parts.Dim), parts.Options.ContextLength);

    /// <summary>Turned dimensions of a head, R.</summary>
    internal int TurnedDims(int headDim) => (int)(headDim * Fraction) / 2 * 2;

    private static IEnumerable<Problem> InScaling(IEnumerable<Problem>? problems) =>
        (problems ?? []).Select(problem => problem with { Path = problem.Path.Length == 0 ? "scaling" : $"scaling.{problem.Path}" });
}
