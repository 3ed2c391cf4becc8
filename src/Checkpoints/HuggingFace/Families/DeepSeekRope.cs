using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Positions;
using Trainer.Models.Positions.Scaling;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>DeepSeek's rotary positions: pairs that stand beside each other, and a YaRN of its own.</summary>
/// <remarks>
/// With m(x) = 0.1·x·ln s + 1 turned dimensions of queries and keys are multiplied by m(mscale)/m(mscale_all_dim), and all scores by m(mscale_all_dim)². The other
/// families know mscale_all_dim too, but multiply no scores: here both settings are kept, and the scale of attention is left as it is, so that
/// nothing is multiplied twice.
/// </remarks>
internal static class DeepSeekRope
{
    /// <summary>The positions that a configuration describes.</summary>
    public static Rope Read(HuggingFaceConfig config)
    {
        Rope rope = Rope.Read(config);
        RotaryOptions options = rope.Options with { Layout = config.Flag("rope_interleave", true) ? RotaryLayout.Interleaved : RotaryLayout.HalfSplit };
        HuggingFaceConfig? section = config.Section("rope_parameters") ?? config.Section("rope_scaling");
        if (section?.OptionalNumber("mscale_all_dim") is not { } all || all == 0 || options.Scaling is null) return rope with { Options = options };
        if (all > 0 && options.Scaling is YarnScaling yarn)
            return rope with { Options = options with { Scaling = Scored(yarn, section.OptionalNumber("attention_factor"), section.OptionalNumber("mscale"), all) } };
        section.Refuse("mscale_all_dim", all > 0 ? "belongs to rope_type \"yarn\"; leave it out" : $"is {all}; it is a weight, 0 or more");
        return rope with { Options = options };
    }

    /// <summary>Adds both spellings.</summary>
    public static void Write(ModelOptions model, JsonObject json)
    {
        Rope.Write(model, json);
        if (model.Position is not RotaryOptions rotary) return;
        json["rope_interleave"] = rotary.Layout == RotaryLayout.Interleaved;
        if (rotary.Scaling is not YarnScaling yarn) return;
        foreach (string spelling in (string[])["rope_parameters", "rope_scaling"]) Say(yarn, model.ContextLength, (JsonObject)json[spelling]!);
    }

    private static YarnScaling Scored(YarnScaling yarn, double? attentionFactor, double? mscale, double all)
    {
        double s = yarn.Factor!.Value;
        // What transformers takes where mscale is missing.
        double factor = attentionFactor ?? Magnitude(s, 1);
        return yarn with { AttentionFactor = null, MscaleAllDim = all, Mscale = attentionFactor is null && mscale is > 0 ? mscale : Weight(s, factor * Magnitude(s, all)) };
    }

    // DeepSeek's own code and vLLM read the two settings; transformers reads them where neither is 0, and the factor otherwise.
    private static void Say(YarnScaling yarn, int contextLength, JsonObject json)
    {
        (double s, double all, double factor) = (yarn.Factor!.Value, yarn.MscaleAllDim ?? 0, yarn.ResolvedAttentionFactor(contextLength));
        double mscale = yarn.Mscale ?? Weight(s, factor * Magnitude(s, all));
        json["mscale"] = Real.Json(mscale);
        json["mscale_all_dim"] = Real.Json(all);
        if (mscale > 0 && all > 0) json.Remove("attention_factor");
        else json["attention_factor"] = Real.Json(factor);
    }

    private static double Magnitude(double s, double weight) => 0.1 * weight * Math.Log(s) + 1;

    /// <summary>The weight that has a magnitude.</summary>
    private static double Weight(double s, double magnitude) => s > 1 ? Math.Round((magnitude - 1) / (0.1 * Math.Log(s)), 12) : 1;
}
