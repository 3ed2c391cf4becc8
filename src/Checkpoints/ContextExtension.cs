using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints;

/// <summary>Makes a model's context s times as long by scaling rotary positions; weights are unchanged.</summary>
public sealed record ContextExtension(string Method, double Factor)
{
    private const int LongestContext = 16_777_216;

    /// <summary>The types of scaling.</summary>
    public static IReadOnlyList<string> Methods { get; } =
        [.. typeof(ScalingOptions).GetCustomAttributes<JsonDerivedTypeAttribute>().Select(line => (string)line.TypeDiscriminator!)];

    /// <summary>Why a model cannot be extended, with the settings of method and factor as paths.</summary>
    public IEnumerable<Problem> Problems(ModelOptions model, string methodPath, string factorPath)
    {
        // Layers that do not attend read no positions, nor does anything read the model's own rotary ones where every layer has others.
        PositionOptions[] positions =
        [
            .. model.Stacks.SelectMany(stack => stack.Layers).Where(layer => layer.Mixer.Attends).Select(layer => layer.Position)
                .Append(model.Position is RotaryOptions ? new NoPositionOptions() : model.Position).Distinct(),
        ];
        if (positions.FirstOrDefault(position => position is not (RotaryOptions or NoPositionOptions)) is { } other)
            yield return new(methodPath, $"scales rotary positions, and model.position is '{other.Type}': {Instead(other)}");
        else if (!positions.OfType<RotaryOptions>().Any())
            yield return new(
                methodPath, "scales rotary positions, and this model has none: it takes any length as it is, so set model.contextLength");
        else if (positions.OfType<RotaryOptions>().FirstOrDefault(rotary => rotary.Scaling is not null)?.Scaling is { } scaled)
            yield return new(
                methodPath,
                $"model.position.scaling is '{scaled.Type}' already, made for contextLength {model.ContextLength}; a scaling is made from "
                + "unscaled frequencies: convert the checkpoint from before that");
        if (FactorError(model) is { } error) yield return new(factorPath, error);
    }

    /// <summary>Extends a model without <see cref="Problems"/>; the old context length becomes <c>originalLength</c>.</summary>
    public ModelOptions Apply(ModelOptions model)
    {
        ScalingOptions scaling = Scaling(model.ContextLength);
        return model with
        {
            ContextLength = (int)Math.Round(model.ContextLength * Factor),
            Position = Scaled(model.Position)!,
            LayerPattern = model.LayerPattern?.Select(group => group with { Position = Scaled(group.Position) }).ToArray(),
        };

        PositionOptions? Scaled(PositionOptions? position) =>
            position is RotaryOptions rotary ? rotary with { Scaling = scaling } : position;
    }

    private ScalingOptions Scaling(int originalLength)
    {
        JsonObject json = new() { ["type"] = Method, ["factor"] = Factor, ["originalLength"] = originalLength };
        ScalingOptions scaling = ConfigurationJson.Deserialize<ScalingOptions>(json.ToJsonString(), "scaling");
        // Its factor is how fast the scaling grows with a sequence; with the default, a sequence of the new length is scaled by s.
        return scaling is DynamicNtkScaling ? scaling with { Factor = null } : scaling;
    }

    private string? FactorError(ModelOptions model)
    {
        double target = model.ContextLength * Factor;
        if (!(Factor >= 1)) return $"factor ({Text(Factor)}) is the new context length over the old one; use 1 or more";
        string product = $"factor ({Text(Factor)}) × contextLength ({model.ContextLength}) is {Text(target)}";
        if (target > LongestContext) return $"{product}, more than {LongestContext}; use {LongestContext / model.ContextLength} or less";
        return Math.Abs(target - Math.Round(target)) < 1e-6
            ? null
            : $"{product}, no whole number of positions; use {Text(Math.Round(target) / model.ContextLength)}";
    }

    private static string Instead(PositionOptions position) => position switch
    {
        LearnedOptions =>
            "it has learned a vector for each position and has none for later ones; train another model with rotary positions",
        AlibiOptions or T5BiasOptions => "it reaches further as it is; set model.contextLength in a recipe with initialize.from",
        _ => "it cannot be stretched; train another model with rotary positions",
    };

    private static string Text(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);
}
