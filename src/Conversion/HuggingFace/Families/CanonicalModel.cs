using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Transformers;
using Trainer.Transformers.Attention;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Attention.Projections;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.FeedForward.Experts;
using Trainer.Transformers.Norms;
using Trainer.Transformers.Positions;

namespace Trainer.Conversion.HuggingFace.Families;

/// <summary>One spelling for each model: what is computed, without what only training or speed depend on.</summary>
internal static class CanonicalModel
{
    private static readonly string[] NotTheModel = ["dropout", "kernel", "vocabularySize", "balance", "routerZLoss"];

    /// <summary>The settings in which two models differ, each as <c>path is value; the family has value</c>.</summary>
    public static IReadOnlyList<string> Differences(ModelOptions model, ModelOptions family) =>
        [.. Compare("", Json(model), Json(family))];

    /// <summary>The model with every default said, and layers that are alike said once.</summary>
    public static ModelOptions Resolved(ModelOptions model)
    {
        LayerGroupOptions[] groups = [.. model.Stacks[^1].Layers.Select(layer => new LayerGroupOptions
        {
            Attention = Resolved(layer.Attention, model), Position = layer.Position, FeedForward = Resolved(layer.FeedForward, model),
        })];
        bool alike = groups.All(group => group == groups[0]);
        int contextLength = model.ContextLength;
        foreach (ref LayerGroupOptions group in groups.AsSpan())
        {
            if (group.Position is not RotaryOptions rotary) continue;
            (rotary, contextLength) = CanonicalRotary.Of(rotary, rotary.TurnedDims(group.Attention!.TurnedWidth(model.Dim)), model.ContextLength);
            group = group with { Position = rotary };
        }
        if (model is EncoderDecoderOptions both) model = both with { EncoderLayers = both.EncoderLayers ?? both.Layers };
        return model with
        {
            ContextLength = contextLength,
            Attention = alike ? groups[0].Attention! : Resolved(model.Attention, model),
            Position = alike ? groups[0].Position! : model.Position,
            FeedForward = alike ? groups[0].FeedForward! : Resolved(model.FeedForward, model),
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
        return resolved is HeadProjectionOptions heads ? heads with { HeadDim = heads.HeadWidth(model.Dim) } : resolved;
    }

    private static FeedForwardOptions Resolved(FeedForwardOptions feedForward, ModelOptions model)
    {
        FeedForwardOptions resolved = feedForward with { HiddenDim = feedForward.Width(model.Dim), Bias = feedForward.Bias ?? model.Bias };
        return resolved is ExpertsOptions experts ? experts with { NormalizeWeights = experts.NormalizeWeights ?? experts.Active > 1 } : resolved;
    }

    private static JsonObject Json(ModelOptions model)
    {
        ModelOptions resolved = Resolved(model);
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(resolved))!;
        Group(json["attention"], resolved.Attention);
        for (int layer = 0; layer < resolved.LayerPattern?.Count; layer++) Group(json["layerPattern"]![layer]!["attention"], resolved.LayerPattern[layer].Attention!);
        Strip(json);
        return json;
    }

    // Multi-head and multi-query attention are the ends of grouped-query attention.
    private static void Group(JsonNode? json, AttentionOptions attention)
    {
        if (attention is not HeadProjectionOptions heads) return;
        json!["type"] = "grouped-query";
        json["keyValueHeads"] = heads.Groups;
    }

    private static void Strip(JsonNode? node)
    {
        if (node is JsonArray items)
            foreach (JsonNode? item in items) Strip(item);
        if (node is not JsonObject json) return;
        foreach (string key in NotTheModel) json.Remove(key);
        foreach ((_, JsonNode? value) in json) Strip(value);
    }

    private static IEnumerable<string> Compare(string path, JsonNode? ours, JsonNode? theirs)
    {
        if (ours is JsonObject left && theirs is JsonObject right)
            return left.Select(entry => entry.Key).Union(right.Select(entry => entry.Key))
                .SelectMany(key => Compare(path.Length == 0 ? key : $"{path}.{key}", left[key], right[key]));
        return Same(ours, theirs) ? [] : [$"{path} is {Text(ours)}; the family has {Text(theirs)}"];
    }

    private static bool Same(JsonNode? ours, JsonNode? theirs) =>
        JsonNode.DeepEquals(ours, theirs)
        // Two spellings of one number may differ in the last bit, such as a scale that is written as its inverse square.
        || (ours is JsonValue left && theirs is JsonValue right && left.TryGetValue(out double a) && right.TryGetValue(out double b) && Math.Abs(a - b) <= 1e-12 * Math.Abs(a));

    private static string Text(JsonNode? value) => value?.ToJsonString() ?? "null";
}
