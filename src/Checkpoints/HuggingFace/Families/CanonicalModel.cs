using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>One spelling for each model: what it computes, without the settings that only affect training or speed.</summary>
internal static class CanonicalModel
{
    private static readonly string[] IgnoredSettings = ["dropout", "cache", "vocabularySize", "routerZLoss", "residualInit"];

    // Settings that layers may override: compared layer by layer.
    private static readonly string[] LayerSettings = ["mixer", "attention", "position", "feedForward", "layerPattern"];

    /// <summary>The settings in which a model differs from what a family makes of it.</summary>
    public static IReadOnlyList<SettingDifference> Differences(ModelOptions model, ModelOptions family)
    {
        // The encoder, and attention to it, have the model's own settings, whatever the decoder's layers have.
        SettingDifference[] own = model is EncoderDecoderOptions && family is EncoderDecoderOptions
            ? [.. Compare("", Own(model), Own(family))]
            : [];
        (model, family) = (Resolved(model), Resolved(family));
        return [.. Compare("", OfModel(model), OfModel(family)), .. CompareLayers(Layers(model), Layers(family)).Union(own)];
    }

    // Patterns are encoderPattern, and the decoder's, layer by layer.
    private static JsonObject Own(ModelOptions model)
    {
        AttentionOptions attention = Resolved(model.Attention with { Pattern = null }, model);
        return OfLayer(new()
        {
            Mixer = model.Mixer,
            Attention = attention,
            FeedForward = Resolved(model.FeedForward, model),
            Position = model.Position is RotaryOptions rotary ? Resolved(rotary, attention, model).Rotary : model.Position,
        });
    }

    /// <summary>The model with every default explicit, and without a layer pattern if all layers are alike.</summary>
    public static ModelOptions Resolved(ModelOptions model)
    {
        LayerGroupOptions[] groups = [.. model.Stacks[^1].Layers.Select(layer => new LayerGroupOptions
        {
            Mixer = layer.Mixer,
            Attention = Resolved(layer.Attention, model),
            Position = layer.Position,
            FeedForward = Resolved(layer.FeedForward, model),
        })];
        bool alike = groups.All(group => group == groups[0]);
        int contextLength = model.ContextLength;
        foreach (ref LayerGroupOptions group in groups.AsSpan())
        {
            if (group.Position is not RotaryOptions rotary) continue;
            (rotary, contextLength) = Resolved(rotary, group.Attention!, model);
            group = group with { Position = rotary };
        }
        if (model is EncoderDecoderOptions both) model = both with { EncoderLayers = both.EncoderLayers ?? both.Layers };
        return model with
        {
            ContextLength = contextLength,
            Mixer = alike ? groups[0].Mixer! : model.Mixer,
            // If layers differ, each has all its settings, and the model's own are only those of the last layer.
            Attention = groups[^1].Attention!,
            Position = alike
                ? groups[0].Position!
                : model.Position is RotaryOptions own ? Resolved(own, model.Attention, model).Rotary : model.Position,
            FeedForward = groups[^1].FeedForward!,
            LayerPattern = alike ? null : groups,
            // RMS norms have no bias, and the linear layers have explicit settings by now.
            Bias = model.Bias && (model.Norm is not RmsNormOptions || model is EncoderOptions { HeadTransform: true }),
        };
    }

    private static AttentionOptions Resolved(AttentionOptions attention, ModelOptions model)
    {
        AttentionOptions resolved = model.Resolved(attention) with
        {
            Bias = attention.Bias ?? model.Bias, OutputBias = attention.OutputBias ?? model.Bias, Scale = attention.ScoreScale(model.Dim),
        };
        // A window as long as the context masks nothing.
        if (resolved.Pattern is SlidingOptions { Causal: true } sliding && sliding.Window >= model.ContextLength)
            resolved = resolved with { Pattern = new CausalOptions() };
        return resolved switch
        {
            HeadProjectionOptions heads => heads with { HeadDim = heads.HeadWidth(model.Dim) },
            LatentOptions latent => Resolved(latent, latent.Shape(model.Dim), model),
            _ => resolved,
        };
    }

    private static LatentOptions Resolved(LatentOptions latent, LatentShape shape, ModelOptions model) => latent with
    {
        HeadDim = shape.HeadDim, RopeDim = shape.RotaryDim, ValueDim = shape.ValueDim, KeyValueRank = shape.Rank,
        NormEpsilon = latent.NormEpsilon ?? model.Norm.Epsilon,
    };

    private static (RotaryOptions Rotary, int ContextLength) Resolved(
        RotaryOptions rotary, AttentionOptions attention, ModelOptions model) =>
        CanonicalRotary.Of(rotary, rotary.RotaryDims(attention.RotaryWidth(model.Dim)), model.ContextLength);

    private static FeedForwardOptions Resolved(FeedForwardOptions feedForward, ModelOptions model)
    {
        FeedForwardOptions resolved = feedForward with { HiddenDim = feedForward.Width(model.Dim), Bias = feedForward.Bias ?? model.Bias };
        return resolved is ExpertsOptions experts ? experts with { NormalizeWeights = experts.Normalizes } : resolved;
    }

    private static JsonObject OfModel(ModelOptions resolved)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(resolved))!;
        foreach (string key in LayerSettings) json.Remove(key);
        Strip(json);
        return json;
    }

    private static JsonObject[] Layers(ModelOptions resolved) => [.. (resolved.LayerPattern ?? [new()
    {
        Mixer = resolved.Mixer, Attention = resolved.Attention, Position = resolved.Position, FeedForward = resolved.FeedForward,
    }]).Select(OfLayer)];

    private static JsonObject OfLayer(LayerGroupOptions layer)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(layer))!;
        if (layer.Attention is HeadProjectionOptions heads)
        {
            // Multi-head and multi-query attention are the ends of grouped-query attention.
            json["attention"]!["type"] = "grouped-query";
            json["attention"]!["keyValueHeads"] = heads.Groups;
        }
        // Kernels compute the same, except for linear attention.
        if (layer.Attention!.Kernel != AttentionKernel.Linear) ((JsonObject)json["attention"]!).Remove("kernel");
        if (layer.FeedForward is ExpertsOptions experts)
        {
            // Other kinds of balancing only affect training.
            if (experts.Balance is BiasBalanceOptions) ((JsonObject)json["feedForward"]!["balance"]!).Remove("rate");
            else ((JsonObject)json["feedForward"]!).Remove("balance");
        }
        Strip(json);
        return json;
    }

    private static void Strip(JsonNode? node)
    {
        if (node is JsonArray items)
            foreach (JsonNode? item in items) Strip(item);
        if (node is not JsonObject json) return;
        foreach (string key in IgnoredSettings) json.Remove(key);
        foreach ((_, JsonNode? value) in json) Strip(value);
    }

    private static IEnumerable<SettingDifference> CompareLayers(JsonObject[] model, JsonObject[] family)
    {
        int count = Math.Max(model.Length, family.Length);
        return Enumerable.Range(0, count)
            .SelectMany(layer => Compare("", Of(model, layer), Of(family, layer)).Select(difference => (difference, layer)))
            .GroupBy(entry => entry.difference, entry => entry.layer)
            .Select(group => group.Count() == count ? group.Key : group.Key with { Layers = string.Join(", ", group) });

        static JsonObject Of(JsonObject[] layers, int layer) => layers[layers.Length == 1 ? 0 : layer];
    }

    private static IEnumerable<SettingDifference> Compare(string path, JsonNode? model, JsonNode? family)
    {
        // Choosing experts without a bias is the same as with a bias of zeros.
        if (model is null && path.EndsWith(".balance", StringComparison.Ordinal)) return [];
        if (model is JsonObject left && family is JsonObject right)
            return left.Select(entry => entry.Key).Union(right.Select(entry => entry.Key))
                .SelectMany(key => Compare(path.Length == 0 ? key : $"{path}.{key}", left[key], right[key]));
        if (model is JsonArray some && family is JsonArray others && some.Count == others.Count)
            return some.Zip(others).Index().SelectMany(item => Compare($"{path}.{item.Index}", item.Item.First, item.Item.Second));
        return Same(model, family) ? [] : [new(path, Text(model), Text(family))];
    }

    private static bool Same(JsonNode? model, JsonNode? family) =>
        JsonNode.DeepEquals(model, family)
        // Two spellings of one number may differ in the last bit, such as a scale written as its inverse square.
        || (model is JsonValue left && family is JsonValue right && left.TryGetValue(out double a) && right.TryGetValue(out double b)
            && Math.Abs(a - b) <= 1e-12 * Math.Abs(a));

    private static string Text(JsonNode? value) => value?.ToJsonString() ?? "null";
}

/// <summary>One spelling of each scaling of rotary frequencies: factor, original length and attention factor resolved.</summary>
internal static class CanonicalRotary
{
    /// <summary>Options that give the same frequencies, and the context length that other programs expect with them.</summary>
    public static (RotaryOptions Rotary, int ContextLength) Of(RotaryOptions rotary, int rotaryDims, int contextLength)
    {
        if (rotary.Scaling is not { } scaling) return (rotary, contextLength);
        double factor = scaling.Factor ?? contextLength / (double)(scaling.OriginalLength ?? contextLength);
        int original = scaling.OriginalLength ?? (int)Math.Round(contextLength / factor);
        return scaling switch
        {
            // The same as another base.
            NtkScaling =>
                (rotary with { Theta = rotary.Theta * Math.Pow(factor, rotaryDims / (rotaryDims - 2.0)), Scaling = null }, contextLength),
            // Other programs expect the length from which the scaling grows.
            DynamicNtkScaling => (
                rotary with { Scaling = scaling with { Factor = scaling.Factor ?? 1, OriginalLength = null } },
                scaling.OriginalLength ?? contextLength),
            NtkByPartsScaling { Ramp: FrequencyRamp.Pairs } parts =>
                (rotary with { Scaling = Yarn(parts, factor, original, 1) }, contextLength),
            YarnScaling { MscaleAllDim: null or 0 } yarn => (
                rotary with { Scaling = Yarn(yarn, factor, original, yarn.ResolvedAttentionFactor(contextLength)) },
                contextLength),
            YarnScaling { Mscale: var mscale, MscaleAllDim: var all } yarn => (
                rotary with { Scaling = Yarn(yarn, factor, original, null) with { Mscale = mscale ?? 1, MscaleAllDim = all } },
                contextLength),
            _ => (rotary with { Scaling = scaling with { Factor = factor, OriginalLength = original } }, contextLength),
        };
    }

    private static YarnScaling Yarn(PartsScaling parts, double factor, int original, double? attentionFactor) => new()
    {
        Factor = factor, OriginalLength = original, BetaFast = parts.BetaFast, BetaSlow = parts.BetaSlow, Ramp = parts.Ramp,
        Truncate = parts.Ramp == FrequencyRamp.Pairs ? parts.Truncate ?? true : null, AttentionFactor = attentionFactor,
    };
}

internal sealed record SettingDifference(string Path, string Model, string Family)
{
    private const string Kind = ".type";

    /// <summary>The layers that differ, from 0 on; null for all.</summary>
    public string? Layers { get; init; }

    /// <summary>The differences worth reporting: where a type differs, its settings are left out.</summary>
    public static IEnumerable<SettingDifference> Reported(IReadOnlyList<SettingDifference> differences)
    {
        string[] kinds = [.. differences.Where(difference => difference.IsKind).Select(kind => kind.Path[..^(Kind.Length - 1)])];
        return differences.Where(
            difference => difference.IsKind || !kinds.Any(kind => difference.Path.StartsWith(kind, StringComparison.Ordinal)));
    }

    private bool IsKind => Path.EndsWith(Kind, StringComparison.Ordinal);

    public override string ToString() => $"model.{Path} is {Model}; the family has {Family}{Where}";

    private string Where => Layers is null ? "" : $" (in {(Layers.Contains(',') ? "layers" : "layer")} {Layers}, counted from 0)";
}
