using Trainer.Models.Positions;
using Trainer.Models.Positions.Scaling;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>One spelling of each scaling of rotary frequencies: factor, original length and attention factor resolved.</summary>
internal static class CanonicalRotary
{
    /// <summary>The same frequencies, and the positions that other programs are to be told.</summary>
    /// <param name="rotary">As configured.</param>
    /// <param name="turned">Turned dimensions of a head.</param>
    /// <param name="contextLength">Positions the model is made for.</param>
    public static (RotaryOptions Rotary, int ContextLength) Of(RotaryOptions rotary, int turned, int contextLength)
    {
        if (rotary.Scaling is not { } scaling) return (rotary, contextLength);
        double factor = scaling.Factor ?? contextLength / (double)(scaling.OriginalLength ?? contextLength);
        int original = scaling.OriginalLength ?? (int)Math.Round(contextLength / factor);
        return scaling switch
        {
            // Another base is all it is.
            NtkScaling => (rotary with { Theta = rotary.Theta * Math.Pow(factor, turned / (turned - 2.0)), Scaling = null }, contextLength),
            // The length it grows from is the length that others take the model to have.
            DynamicNtkScaling => (rotary with { Scaling = scaling with { Factor = scaling.Factor ?? 1, OriginalLength = null } }, scaling.OriginalLength ?? contextLength),
            NtkByPartsScaling { Ramp: FrequencyRamp.Pairs } parts => (rotary with { Scaling = Yarn(parts, factor, original, 1) }, contextLength),
            YarnScaling { MscaleAllDim: null or 0 } yarn => (rotary with { Scaling = Yarn(yarn, factor, original, yarn.ResolvedAttentionFactor(contextLength)) }, contextLength),
            YarnScaling yarn => (rotary with { Scaling = Yarn(yarn, factor, original, null) with { Mscale = yarn.Mscale ?? 1, MscaleAllDim = yarn.MscaleAllDim } }, contextLength),
            _ => (rotary with { Scaling = scaling with { Factor = factor, OriginalLength = original } }, contextLength),
        };
    }

    private static YarnScaling Yarn(PartsScaling parts, double factor, int original, double? attentionFactor) => new()
    {
        Factor = factor, OriginalLength = original, BetaFast = parts.BetaFast, BetaSlow = parts.BetaSlow, Ramp = parts.Ramp,
        Truncate = parts.Ramp == FrequencyRamp.Pairs ? parts.Truncate ?? true : null, AttentionFactor = attentionFactor,
    };
}
