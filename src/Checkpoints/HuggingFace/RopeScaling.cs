using System.Text.Json.Nodes;
using Trainer.Models.Positions.Scaling;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Scalings of rotary frequencies as Hugging Face names them: <c>rope_type</c>, <c>type</c> before.</summary>
/// <param name="Options">The scaling; null for none.</param>
/// <param name="ContextLength">The extended length.</param>
internal sealed record RopeScaling(ScalingOptions? Options, int ContextLength)
{
    /// <summary>What a section says.</summary>
    /// <param name="section">rope_parameters or rope_scaling.</param>
    /// <param name="length">max_position_embeddings.</param>
    public static RopeScaling Read(HuggingFaceConfig section, int length)
    {
        string type = section.OptionalText("rope_type") ?? section.OptionalText("type") ?? "default";
        switch (type)
        {
            case "default":
                return new(null, length);
            case "linear":
                return new(new LinearScaling { Factor = section.Number("factor") }, length);
            case "dynamic":
                return new(new DynamicNtkScaling { Factor = section.Number("factor") }, length);
            case "llama3":
                return new(new Llama3Scaling
                {
                    Factor = section.Number("factor"), OriginalLength = section.Count("original_max_position_embeddings", length),
                    LowFrequencyFactor = section.Number("low_freq_factor"), HighFrequencyFactor = section.Number("high_freq_factor"),
                }, length);
            case "yarn":
                return Yarn(section, length);
            default:
                section.Refuse("rope_type", $"is \"{type}\"; this program knows default, linear, dynamic, yarn, llama3");
                return new(null, length);
        }
    }

    /// <summary>Says a scaling; its factor, lengths and attention factor are resolved.</summary>
    public static JsonObject Write(ScalingOptions? scaling) => scaling switch
    {
        LinearScaling => new() { ["rope_type"] = "linear", ["factor"] = Real.Json(scaling.Factor!.Value) },
        DynamicNtkScaling => new() { ["rope_type"] = "dynamic", ["factor"] = Real.Json(scaling.Factor!.Value) },
        Llama3Scaling llama => new()
        {
            ["rope_type"] = "llama3", ["factor"] = Real.Json(llama.Factor!.Value), ["original_max_position_embeddings"] = llama.OriginalLength,
            ["low_freq_factor"] = Real.Json(llama.LowFrequencyFactor), ["high_freq_factor"] = Real.Json(llama.HighFrequencyFactor),
        },
        YarnScaling yarn => Yarn(yarn),
        _ => new() { ["rope_type"] = "default" },
    };

    private static RopeScaling Yarn(HuggingFaceConfig section, int length)
    {
        int original = section.Count("original_max_position_embeddings", length);
        double factor = section.Number("factor", length / (double)original);
        (double? mscale, double? all) = (section.OptionalNumber("mscale"), section.OptionalNumber("mscale_all_dim"));
        YarnScaling yarn = new()
        {
            Factor = factor, OriginalLength = original, BetaFast = section.Number("beta_fast", 32), BetaSlow = section.Number("beta_slow", 1),
            Truncate = section.Flag("truncate", true), AttentionFactor = section.OptionalNumber("attention_factor") ?? Ratio(factor, mscale, all),
        };
        return new(yarn, (int)Math.Round(factor * original));
    }

    // Both or none, as transformers has it.
    private static double? Ratio(double factor, double? mscale, double? all) =>
        mscale is > 0 && all is > 0 ? (0.1 * mscale * Math.Log(factor) + 1) / (0.1 * all * Math.Log(factor) + 1) : null;

    private static JsonObject Yarn(YarnScaling yarn)
    {
        JsonObject json = new()
        {
            ["rope_type"] = "yarn", ["factor"] = Real.Json(yarn.Factor!.Value), ["original_max_position_embeddings"] = yarn.OriginalLength,
            ["attention_factor"] = yarn.AttentionFactor is { } attention ? Real.Json(attention) : null,
            ["beta_fast"] = Real.Json(yarn.BetaFast), ["beta_slow"] = Real.Json(yarn.BetaSlow),
        };
        if (yarn.Truncate == false) json["truncate"] = false;
        return json;
    }
}
