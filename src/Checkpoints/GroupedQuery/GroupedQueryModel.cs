using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Mixers;

namespace Trainer.Checkpoints.GroupedQuery;

/// <summary>A model with fewer key-value heads, as configuration (Ainslie et al. 2023, arXiv 2305.13245).</summary>
/// <remarks>Decoders' attention to themselves and to an encoder is changed. An encoder's is not: it runs once over a text, so
/// that nothing is won by it.</remarks>
public static class GroupedQueryModel
{
    /// <summary>Why a model cannot have so many key-value heads.</summary>
    /// <param name="model">The model, valid.</param>
    /// <param name="keyValueHeads">Heads of keys and values that each layer shall have.</param>
    /// <param name="path">What asks for them, such as <c>initialize.convert.keyValueHeads</c>.</param>
    /// <returns>None where it can, or has as many already.</returns>
    public static IEnumerable<Problem> Problems(ModelOptions model, int keyValueHeads, string path)
    {
        if (keyValueHeads < 1)
            return [new(path, $"keyValueHeads ({keyValueHeads}) is a number of heads; use 1 or more")];
        if (model is EncoderOptions)
            return [new(path, "model.architecture is 'encoder', which reads a text at once and caches no keys and values: fewer heads of them would win nothing")];
        if (!model.Stacks.SelectMany(stack => stack.Layers).Any(layer => layer.Mixer is AttentionMixerOptions))
            return [new(path, "no layer of this model has attention, so there are no heads of keys and values to pool")];
        return [.. Named(model).Select(each => Complaint(each.Path, each.Attention, keyValueHeads)).OfType<string>().Select(message => new Problem(path, message))];
    }

    /// <summary>Whether every layer has as many key-value heads already.</summary>
    /// <param name="model">The model.</param>
    /// <param name="keyValueHeads">How many.</param>
    public static bool Has(ModelOptions model, int keyValueHeads) =>
        Named(model).All(each => each.Attention is HeadProjectionOptions heads && heads.Groups == keyValueHeads);

    /// <summary>The same model with so many key-value heads.</summary>
    /// <param name="model">A model without <see cref="Problems"/>.</param>
    /// <param name="keyValueHeads">How many.</param>
    /// <returns>The model itself where it has as many already.</returns>
    public static ModelOptions Apply(ModelOptions model, int keyValueHeads)
    {
        if (Has(model, keyValueHeads)) return model;
        ModelOptions converted = model with
        {
            Attention = Apply(model.Attention, keyValueHeads),
            LayerPattern = model.LayerPattern?.Select(group => group.Attention is { } own ? group with { Attention = Apply(own, keyValueHeads) } : group).ToArray(),
        };
        return converted is EncoderDecoderOptions both
            ? both with { EncoderAttention = both.EncoderAttention ?? model.Attention with { Pattern = null } }
            : converted;
    }

    /// <summary>Through JSON: the kinds of attention are records beside each other, and what they share must come along whole.</summary>
    private static AttentionOptions Apply(AttentionOptions attention, int keyValueHeads)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(attention))!;
        json["type"] = keyValueHeads == 1 ? "multi-query" : "grouped-query";
        if (keyValueHeads == 1) json.Remove("keyValueHeads");
        else json["keyValueHeads"] = keyValueHeads;
        return ConfigurationJson.Deserialize<AttentionOptions>(json.ToJsonString(), "attention");
    }

    private static IEnumerable<(string Path, AttentionOptions Attention)> Named(ModelOptions model) =>
    [
        ("model.attention", model.Attention),
        .. (model.LayerPattern ?? []).Index().Where(group => group.Item.Attention is not null).Select(group => ($"model.layerPattern.{group.Index}.attention", group.Item.Attention!)),
    ];

    private static string? Complaint(string path, AttentionOptions attention, int wanted) => attention switch
    {
        not HeadProjectionOptions => $"{path} is of type '{attention.Type}', which has no heads of keys and values to pool; only multi-head and grouped-query attention have",
        HeadProjectionOptions { Groups: var groups } when wanted > groups => $"{path} has {groups} key-value {(groups == 1 ? "head" : "heads")}, and {wanted} are more: heads can be pooled, not added; use {Divisors.Near(groups, wanted)}",
        HeadProjectionOptions { Groups: var groups } when groups % wanted != 0 => $"{path} has {groups} key-value heads, which {wanted} does not divide into equal groups; use {Divisors.Near(groups, wanted)}",
        _ => null,
    };
}
