using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Rotary positions, spelt <c>rope_parameters</c> (transformers 5), or <c>rope_theta</c> and <c>rope_scaling</c>.</summary>
internal sealed record Rope(RotaryOptions Options, int ContextLength)
{
    public static Rope Read(HuggingFaceConfig config, double defaultTheta = 10000, double defaultFraction = 1)
    {
        HuggingFaceConfig? newer = config.Section("rope_parameters"), section = Section(config);
        double theta = section?.OptionalNumber("rope_theta") ?? newer?.OptionalNumber("rope_theta")
            ?? config.Number("rope_theta", defaultTheta);
        double fraction = section?.OptionalNumber("partial_rotary_factor") ?? newer?.OptionalNumber("partial_rotary_factor")
            ?? config.Number("partial_rotary_factor", defaultFraction);
        config.Ignore("rope_theta", "rope_scaling", "partial_rotary_factor"); // the older spelling may stand beside the newer one
        int length = config.Count("max_position_embeddings", 2048);
        RopeScaling scaling = section is null ? new(null, length) : RopeScaling.Read(section, length);
        return new(new() { Theta = theta, Fraction = fraction, Scaling = scaling.Options }, scaling.ContextLength);
    }

    /// <summary>What says how positions are scaled; null for nothing. As in transformers, the older spelling comes first, which people add
    /// to a file that has both.</summary>
    public static HuggingFaceConfig? Section(HuggingFaceConfig config) =>
        config.Section("rope_scaling") ?? config.Section("rope_parameters");

    /// <summary>Adds both spellings of a resolved model's positions: older readers know only the older one.</summary>
    public static void Write(ModelOptions model, JsonObject json)
    {
        json["max_position_embeddings"] = model.ContextLength;
        if (model.Position is not RotaryOptions rotary) return;
        JsonObject parameters = RopeScaling.Write(rotary.Scaling);
        json["rope_scaling"] = rotary.Scaling is null ? null : WithOlderName(parameters);
        json["rope_theta"] = PythonJson.Number(rotary.Theta);
        parameters["rope_theta"] = PythonJson.Number(rotary.Theta);
        if (rotary.Fraction != 1)
        {
            json["partial_rotary_factor"] = PythonJson.Number(rotary.Fraction);
            parameters["partial_rotary_factor"] = PythonJson.Number(rotary.Fraction);
        }
        json["rope_parameters"] = parameters;
    }

    // The first readers of scaling looked for "type".
    private static JsonObject WithOlderName(JsonObject parameters)
    {
        JsonObject older = (JsonObject)parameters.DeepClone();
        older["type"] = parameters["rope_type"]!.DeepClone();
        return older;
    }
}

/// <summary>A scaling by its name <c>rope_type</c>, formerly <c>type</c>, and the extended context length.</summary>
internal sealed record RopeScaling(ScalingOptions? Options, int ContextLength)
{
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
                    Factor = section.Number("factor"),
                    OriginalLength = section.Count("original_max_position_embeddings", length),
                    LowFrequencyFactor = section.Number("low_freq_factor"),
                    HighFrequencyFactor = section.Number("high_freq_factor"),
                }, length);
            case "yarn":
                return Yarn(section, length);
            default:
                section.Refuse("rope_type", $"is \"{type}\"; this program knows default, linear, dynamic, yarn, llama3");
                return new(null, length);
        }
    }

    public static JsonObject Write(ScalingOptions? scaling) => scaling switch
    {
        LinearScaling => new() { ["rope_type"] = "linear", ["factor"] = PythonJson.Number(scaling.Factor!.Value) },
        DynamicNtkScaling => new() { ["rope_type"] = "dynamic", ["factor"] = PythonJson.Number(scaling.Factor!.Value) },
        Llama3Scaling llama => new()
        {
            ["rope_type"] = "llama3",
            ["factor"] = PythonJson.Number(llama.Factor!.Value),
            ["original_max_position_embeddings"] = llama.OriginalLength,
            ["low_freq_factor"] = PythonJson.Number(llama.LowFrequencyFactor),
            ["high_freq_factor"] = PythonJson.Number(llama.HighFrequencyFactor),
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
            Factor = factor,
            OriginalLength = original,
            BetaFast = section.Number("beta_fast", 32),
            BetaSlow = section.Number("beta_slow", 1),
            Truncate = section.Flag("truncate", true),
            AttentionFactor = section.OptionalNumber("attention_factor") ?? Ratio(factor, mscale, all),
        };
        return new(yarn, (int)Math.Round(factor * original));
    }

    // Like transformers, only if both are given.
    private static double? Ratio(double factor, double? mscale, double? all) =>
        mscale is > 0 && all is > 0 ? (0.1 * mscale * Math.Log(factor) + 1) / (0.1 * all * Math.Log(factor) + 1) : null;

    private static JsonObject Yarn(YarnScaling yarn)
    {
        JsonObject json = new()
        {
            ["rope_type"] = "yarn",
            ["factor"] = PythonJson.Number(yarn.Factor!.Value),
            ["original_max_position_embeddings"] = yarn.OriginalLength,
            ["attention_factor"] = yarn.AttentionFactor is { } attention ? PythonJson.Number(attention) : null,
            ["beta_fast"] = PythonJson.Number(yarn.BetaFast),
            ["beta_slow"] = PythonJson.Number(yarn.BetaSlow),
        };
        if (yarn.Truncate == false) json["truncate"] = false;
        return json;
    }
}
