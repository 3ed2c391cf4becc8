using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Norms;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>One spelling for each model: what is computed, without what only training or speed depend on.</summary>
internal static class CanonicalModel
{
    private static readonly string[] NotTheModel = ["dropout", "cache", "vocabularySize", "routerZLoss"];

    // What layers may have of their own: compared layer by layer.
    private static readonly string[] OfLayers = ["mixer", "attention", "position", "feedForward", "layerPattern"];

    /// <summary>The settings in which a model differs from one that a family has.</summary>
    public static IReadOnlyList<SettingDifference> Differences(ModelOptions model, ModelOptions family)
    {
        (model, family) = (Resolved(model), Resolved(family));
        return [.. Compare("", OfModel(model), OfModel(family)), .. CompareLayers(Layers(model), Layers(family))];
    }

    /// <summary>The model with every default said, and layers that are alike said once.</summary>
    public static ModelOptions Resolved(ModelOptions model)
    {
        LayerGroupOptions[] groups = [.. model.Stacks[^1].Layers.Select(layer => new LayerGroupOptions
        {
            Mixer = layer.Mixer, Attention = Resolved(layer.Attention, model), Position = layer.Position, FeedForward = Resolved(layer.FeedForward, model),
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
            // Layers that differ say all of theirs themselves, so that the model's own are no more than what most have.
            Attention = groups[^1].Attention!,
            Position = alike ? groups[0].Position! : model.Position is RotaryOptions own ? Resolved(own, model.Attention, model).Rotary : model.Position,
            FeedForward = groups[^1].FeedForward!,
            LayerPattern = alike ? null : groups,
            // Root-mean-square norms have no bias, and the linear layers have their own choice by now.
            Bias = model.Bias && (model.Norm is not RmsNormOptions || model is EncoderOptions { HeadTransform: true }),
        };
    }

    private static AttentionOptions Resolved(AttentionOptions attention, ModelOptions model)
    {
        AttentionOptions resolved = model.Resolved(attention) with
        {
            Bias = attention.Bias ?? model.Bias, OutputBias = attention.OutputBias ?? model.Bias, Scale = attention.ScoreScale(model.Dim),
        };
        // A window as long as the context hides nothing.
        if (resolved.Pattern is SlidingOptions { Causal: true } sliding && sliding.Window >= model.ContextLength) resolved = resolved with { Pattern = new CausalOptions() };
        return resolved switch
        {
            HeadProjectionOptions heads => heads with { HeadDim = heads.HeadWidth(model.Dim) },
            LatentOptions latent => Resolved(latent, latent.Shape(model.Dim), model),
            _ => resolved,
        };
    }

    private static LatentOptions Resolved(LatentOptions latent, LatentShape shape, ModelOptions model) => latent with
    {
        HeadDim = shape.HeadDim, RopeDim = shape.TurnedDim, ValueDim = shape.ValueDim, KeyValueRank = shape.Rank, NormEpsilon = latent.NormEpsilon ?? model.Norm.Epsilon,
    };

    private static (RotaryOptions Rotary, int ContextLength) Resolved(RotaryOptions rotary, AttentionOptions attention, ModelOptions model) =>
        CanonicalRotary.Of(rotary, rotary.TurnedDims(attention.TurnedWidth(model.Dim)), model.ContextLength);

    private static FeedForwardOptions Resolved(FeedForwardOptions feedForward, ModelOptions model)
    {
        FeedForwardOptions resolved = feedForward with { HiddenDim = feedForward.Width(model.Dim), Bias = feedForward.Bias ?? model.Bias };
        return resolved is ExpertsOptions experts ? experts with { NormalizeWeights = experts.Normalizes } : resolved;
    }

    private static JsonObject OfModel(ModelOptions resolved)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(resolved))!;
        foreach (string key in OfLayers) json.Remove(key);
        Strip(json);
        return json;
    }

    /// <summary>What each layer has; one entry where all are alike.</summary>
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
        // How attention is computed changes nothing, but for this kernel, which computes something else.
        if (layer.Attention!.Kernel != AttentionKernel.Linear) ((JsonObject)json["attention"]!).Remove("kernel");
        if (layer.FeedForward is ExpertsOptions experts)
        {
            // The others only change how experts are trained.
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
        foreach (string key in NotTheModel) json.Remove(key);
        foreach ((_, JsonNode? value) in json) Strip(value);
    }

    private static IEnumerable<SettingDifference> CompareLayers(JsonObject[] ours, JsonObject[] theirs)
    {
        int count = Math.Max(ours.Length, theirs.Length);
        return Enumerable.Range(0, count)
            .SelectMany(layer => Compare("", ours[ours.Length == 1 ? 0 : layer], theirs[theirs.Length == 1 ? 0 : layer]).Select(difference => (difference, layer)))
            .GroupBy(entry => entry.difference, entry => entry.layer)
            .Select(group => group.Count() == count ? group.Key : group.Key with { Layers = string.Join(", ", group) });
    }

    private static IEnumerable<SettingDifference> Compare(string path, JsonNode? ours, JsonNode? theirs)
    {
        // Experts that are chosen without a bias are those of a bias of zeros.
        if (ours is null && path.EndsWith(".balance", StringComparison.Ordinal)) return [];
        if (ours is JsonObject left && theirs is JsonObject right)
            return left.Select(entry => entry.Key).Union(right.Select(entry => entry.Key))
                .SelectMany(key => Compare(path.Length == 0 ? key : $"{path}.{key}", left[key], right[key]));
        if (ours is JsonArray some && theirs is JsonArray others && some.Count == others.Count)
            return some.Zip(others).Index().SelectMany(item => Compare($"{path}.{item.Index}", item.Item.First, item.Item.Second));
        return Same(ours, theirs) ? [] : [new(path, Text(ours), Text(theirs))];
    }

    private static bool Same(JsonNode? ours, JsonNode? theirs) =>
        JsonNode.DeepEquals(ours, theirs)
        // Two spellings of one number may differ in the last bit, such as a scale that is written as its inverse square.
        || (ours is JsonValue left && theirs is JsonValue right && left.TryGetValue(out double a) && right.TryGetValue(out double b) && Math.Abs(a - b) <= 1e-12 * Math.Abs(a));

    private static string Text(JsonNode? value) => value?.ToJsonString() ?? "null";
}
