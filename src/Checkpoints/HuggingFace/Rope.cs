using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Rotary positions in both spellings: <c>rope_parameters</c> (transformers 5), and <c>rope_theta</c> with <c>rope_scaling</c> before.</summary>
/// <param name="Options">The positions.</param>
/// <param name="ContextLength">Positions that the model is made for.</param>
internal sealed record Rope(RotaryOptions Options, int ContextLength)
{
    /// <summary>The rotary positions that a configuration describes.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="defaultTheta">The base where nothing is said.</param>
    /// <param name="defaultFraction">The part of a head that is turned where nothing is said.</param>
    public static Rope Read(HuggingFaceConfig config, double defaultTheta = 10000, double defaultFraction = 1)
    {
        HuggingFaceConfig? section = config.Section("rope_parameters") ?? config.Section("rope_scaling");
        double theta = section?.OptionalNumber("rope_theta") ?? config.Number("rope_theta", defaultTheta);
        double fraction = section?.OptionalNumber("partial_rotary_factor") ?? config.Number("partial_rotary_factor", defaultFraction);
        config.Unused("rope_theta", "rope_scaling", "partial_rotary_factor"); // the older spelling may stand beside the present one
        int length = config.Count("max_position_embeddings", 2048);
        RopeScaling scaling = section is null ? new(null, length) : RopeScaling.Read(section, length);
        return new(new() { Theta = theta, Fraction = fraction, Scaling = scaling.Options }, scaling.ContextLength);
    }

    /// <summary>Adds both spellings, since older readers know only the older one.</summary>
    /// <param name="model">With its settings resolved.</param>
    /// <param name="json">The configuration.</param>
    public static void Write(ModelOptions model, JsonObject json)
    {
        json["max_position_embeddings"] = model.ContextLength;
        if (model.Position is not RotaryOptions rotary) return;
        JsonObject parameters = RopeScaling.Write(rotary.Scaling);
        json["rope_scaling"] = rotary.Scaling is null ? null : WithOlderName(parameters);
        json["rope_theta"] = Real.Json(rotary.Theta);
        parameters["rope_theta"] = Real.Json(rotary.Theta);
        if (rotary.Fraction != 1) (json["partial_rotary_factor"], parameters["partial_rotary_factor"]) = (Real.Json(rotary.Fraction), Real.Json(rotary.Fraction));
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
