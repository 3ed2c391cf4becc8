using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Transformers;
using Trainer.Transformers.Attention.Projections;

namespace Trainer.Conversion.HuggingFace.Families;

/// <summary>One spelling for each model: what is computed, without what only training or speed depend on.</summary>
internal static class CanonicalModel
{
    private static readonly string[] NotTheModel = ["dropout", "kernel"];

    /// <summary>The settings in which two models differ, each as <c>path is value; the family has value</c>.</summary>
    public static IReadOnlyList<string> Differences(ModelOptions model, ModelOptions family) =>
        [.. Compare("", Json(model), Json(family))];

    private static JsonObject Json(ModelOptions model)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(Resolved(model)))!;
        Strip(json);
        return json;
    }

    private static ModelOptions Resolved(ModelOptions model) => model with
    {
        Attention = model.Attention is HeadProjectionOptions heads and not GroupedQueryOptions ? Grouped(heads) : model.Attention,
        FeedForward = model.FeedForward with { HiddenDim = model.FeedForward.Width(model.Dim) },
    };

    // Multi-head and multi-query attention are the ends of grouped-query attention.
    private static GroupedQueryOptions Grouped(HeadProjectionOptions options) => new()
    {
        Heads = options.Heads, KeyValueHeads = options.Groups, Pattern = options.Pattern, Kernel = options.Kernel, QueryKeyNorm = options.QueryKeyNorm,
    };

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
        return JsonNode.DeepEquals(ours, theirs) ? [] : [$"{path} is {Text(ours)}; the family has {Text(theirs)}"];
    }

    private static string Text(JsonNode? value) => value?.ToJsonString() ?? "null";
}
