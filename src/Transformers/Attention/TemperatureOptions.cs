using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Transformers.Attention;

/// <summary>Sharper attention far into a sequence: the query at position p is multiplied by 1 + scale·ln(1 + ⌊(p + 1) / floor⌋) (Llama 4).</summary>
/// <remarks>Nothing changes up to position floor − 2. Llama 4 has it on its layers without positions; it may be set on a trained model.</remarks>
public sealed record TemperatureOptions
{
    /// <summary>Positions to each step.</summary>
    [Description("Positions to each step.")]
    [Range(1, 16_777_216)]
    public int Floor { get; init; } = 8192;

    /// <summary>Weight of the logarithm.</summary>
    [Description("Weight of the logarithm of the steps.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double Scale { get; init; } = 0.1;
}
