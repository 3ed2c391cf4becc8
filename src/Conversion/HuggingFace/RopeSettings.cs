using System.Text.Json.Nodes;
using Trainer.Transformers;
using Trainer.Transformers.Positions;

namespace Trainer.Conversion.HuggingFace;

/// <summary>Rotary positions in both spellings: <c>rope_parameters</c> (transformers 5), and <c>rope_theta</c> with <c>rope_scaling</c>.</summary>
internal static class RopeSettings
{
    /// <summary>The rotary positions that a configuration describes.</summary>
    public static RotaryOptions Read(HuggingFaceConfig config)
    {
        HuggingFaceConfig? section = config.Section("rope_parameters") ?? config.Section("rope_scaling");
        double theta = section?.OptionalNumber("rope_theta") ?? config.Number("rope_theta", 10000);
        double fraction = section?.OptionalNumber("partial_rotary_factor") ?? config.Number("partial_rotary_factor", 1);
        string type = section?.OptionalText("rope_type") ?? section?.OptionalText("type") ?? "default";
        if (type != "default") section!.Refuse("rope_type", $"is \"{type}\"");
        return new() { Theta = theta, Fraction = fraction };
    }

    /// <summary>Adds both spellings, since older readers know only the older one.</summary>
    public static void Write(ModelOptions model, JsonObject json)
    {
        if (model.Position is not RotaryOptions rotary) return;
        json["rope_theta"] = rotary.Theta;
        json["rope_parameters"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = rotary.Theta };
        json["rope_scaling"] = null;
    }
}
