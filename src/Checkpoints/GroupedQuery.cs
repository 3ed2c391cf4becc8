// Shapes: H query heads, G key-value heads, N key-value heads afterwards, D head dimension, C model dimension.
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Mixers;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Reduces a decoder's key-value heads (Ainslie et al. 2023, arXiv 2305.13245). Encoders cache nothing.</summary>
public static class GroupedQueryModel
{
    /// <summary>Why a valid model cannot have so many key-value heads per layer; <paramref name="path"/> is the setting's.</summary>
    public static IEnumerable<Problem> Problems(ModelOptions model, int keyValueHeads, string path)
    {
        if (keyValueHeads < 1)
            return [new(path, $"keyValueHeads ({keyValueHeads}) is a number of heads; use 1 or more")];
        if (model is EncoderOptions)
            return [new(
                path,
                "model.architecture is 'encoder', which reads a text at once and caches no keys and values: "
                + "fewer heads of them would win nothing")];
        if (model.PatchInput() is not null)
            return [new(
                path,
                "model.input reads patches of numbers at once, and nothing is written behind them: the model caches no keys and values, so "
                + "that fewer heads of them would win nothing")];
        if (!model.Stacks.SelectMany(stack => stack.Layers).Any(layer => layer.Mixer is AttentionMixerOptions))
            return [new(path, "no layer of this model has attention, so there are no heads of keys and values to pool")];
        IEnumerable<string?> errors = Named(model).Select(each => ValidationError(each.Path, each.Attention, keyValueHeads));
        return [.. errors.OfType<string>().Select(message => new Problem(path, message))];
    }

    /// <summary>The numbers of key-value heads, fewer than a valid model has, that it can be pooled to; the most first.</summary>
    public static IReadOnlyList<int> Choices(ModelOptions model) => model.Attention is not HeadProjectionOptions attention
        ? []
        : [.. Enumerable.Range(1, attention.Groups - 1).Reverse().Where(heads => !Problems(model, heads, "").Any())];

    internal static bool Has(ModelOptions model, int keyValueHeads) =>
        Named(model).All(each => each.Attention is HeadProjectionOptions heads && heads.Groups == keyValueHeads);

    /// <summary>The model with so many key-value heads, for which <see cref="Problems"/> has none.</summary>
    public static ModelOptions Apply(ModelOptions model, int keyValueHeads)
    {
        if (Has(model, keyValueHeads)) return model;
        ModelOptions converted = model with
        {
            Attention = Apply(model.Attention, keyValueHeads),
            LayerPattern = model.LayerPattern
                ?.Select(group => group.Attention is { } own ? group with { Attention = Apply(own, keyValueHeads) } : group).ToArray(),
        };
        return converted is EncoderDecoderOptions both
            ? both with { EncoderAttention = both.EncoderAttention ?? model.Attention with { Pattern = null, Cache = AttentionCache.Auto } }
            : converted;
    }

    /// <summary>Goes through JSON, as the types of attention are separate records whose common settings must all be kept.</summary>
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
        .. (model.LayerPattern ?? []).Index()
            .Where(group => group.Item.Attention is not null)
            .Select(group => ($"model.layerPattern.{group.Index}.attention", group.Item.Attention!)),
    ];

    private static string? ValidationError(string path, AttentionOptions attention, int wanted) => attention switch
    {
        not HeadProjectionOptions =>
            $"{path} is of type '{attention.Type}', which has no heads of keys and values to pool; "
            + "only multi-head and grouped-query attention have",
        HeadProjectionOptions { ValueEmbedding: true } =>
            $"{path} adds a table of tokens to its values (valueEmbedding), whose columns belong to heads and cannot be pooled with them",
        HeadProjectionOptions { Groups: var groups } when wanted > groups =>
            $"{path} has {groups} key-value {(groups == 1 ? "head" : "heads")}, and {wanted} are more: heads can be pooled, not added; "
            + $"use {Divisors.Near(groups, wanted)}",
        HeadProjectionOptions { Groups: var groups } when groups % wanted != 0 =>
            $"{path} has {groups} key-value heads, which {wanted} does not divide into equal groups; use {Divisors.Near(groups, wanted)}",
        _ => null,
    };
}

/// <summary>A model's weights with pooled key-value heads, one tensor at a time. Heads are pooled before they are rotated.</summary>
public sealed class PooledWeights : IWeightSource
{
    private readonly IWeightSource source;
    private readonly HeadPool pool;
    private readonly long seed;
    private readonly Dictionary<string, (KeyValueRows Rows, int Number)> pooled = [];

    /// <summary>Pools the open weights of a model without <see cref="GroupedQueryModel.Problems"/>; the seed is for random heads.</summary>
    public PooledWeights(IWeightSource source, ModelOptions model, int keyValueHeads, HeadPool pool, long seed)
    {
        (this.source, this.pool, this.seed) = (source, pool, seed);
        foreach ((string name, KeyValueRows rows) in Matrices(model, keyValueHeads))
        {
            foreach (string tensor in (string[])[$"{name}.weight", $"{name}.bias"])
                if (source.Names.Contains(tensor)) pooled.Add(tensor, (rows, pooled.Count));
        }
    }

    /// <inheritdoc/>
    public string Location => source.Location;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => source.Names;

    /// <summary>Number of pooled tensors.</summary>
    public int Pooled => pooled.Count;

    /// <inheritdoc/>
    public SafetensorsInfo Info(string name)
    {
        SafetensorsInfo info = source.Info(name);
        return pooled.TryGetValue(name, out var place)
            ? info with { Shape = [place.Rows.Count, .. info.Shape.Skip(1)], Length = info.Length / info.Shape[0] * place.Rows.Count }
            : info;
    }

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        if (!pooled.TryGetValue(name, out var place)) return source.Read(name);
        using DisposeScope scope = NewDisposeScope();
        // Each tensor has a generator of its own, so the order of reading does not matter.
        ulong key = unchecked((ulong)seed * 0x9E3779B97F4A7C15 + (ulong)place.Number);
        return place.Rows.Pool(source.Read(name), pool, key).MoveToOuterDisposeScope();
    }

    private static IEnumerable<(string Name, KeyValueRows Rows)> Matrices(ModelOptions model, int keyValueHeads)
    {
        StackOptions decoder = model.Stacks.Single(stack => stack.Role == StackOptions.Decoder);
        string prefix = model.Stacks.Count == 1 ? "" : $"{decoder.Role}.";
        for (int layer = 0; layer < decoder.Layers.Count; layer++)
        {
            if (Heads(decoder.Layers[layer].Attention) is { } own)
                yield return ($"{prefix}blocks.{layer}.mixer.projection.qkv", Rows(own, own.Heads * own.HeadWidth(model.Dim)));
            if (Heads(decoder.Layers[layer].Cross) is { } cross)
                yield return ($"{prefix}blocks.{layer}.cross.projection.keyValue", Rows(cross, queries: 0));
        }

        HeadProjectionOptions? Heads(AttentionOptions? attention) =>
            attention is HeadProjectionOptions heads && heads.Groups != keyValueHeads ? heads : null;

        KeyValueRows Rows(HeadProjectionOptions heads, int queries) =>
            new(queries, heads.Groups, keyValueHeads, heads.HeadWidth(model.Dim));
    }
}

/// <summary>Rows of a fused projection, [queries | G·D keys | G·D values], G heads pooled to N; no queries in cross-attention.</summary>
internal sealed record KeyValueRows(int Queries, int Heads, int Pooled, int HeadDim)
{
    // As in a new model.
    private const double Deviation = 0.02;

    public int Count => Queries + 2 * Pooled * HeadDim;

    /// <summary>Pools groups of consecutive heads, which the same query heads share afterwards; in the current dispose scope.</summary>
    public Tensor Pool(Tensor rows, HeadPool pool, ulong seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new(seed);
        Tensor[] parts = rows.split([Queries, Heads * HeadDim, Heads * HeadDim], 0);
        return cat([parts[0], Pool(parts[1], pool, generator), Pool(parts[2], pool, generator)], 0).MoveToOuterDisposeScope();
    }

    private Tensor Pool(Tensor rows, HeadPool pool, Generator generator)
    {
        long[] tail = rows.shape[1..];
        Tensor groups = rows.reshape([Pooled, Heads / Pooled, HeadDim, .. tail]); // (G·D, …) → (N, G/N, D, …)
        Tensor one = pool switch // (N, D, …)
        {
            HeadPool.Mean => groups.mean([1]),
            HeadPool.First => groups.select(1, 0),
            HeadPool.Random => Drawn([Pooled, HeadDim, .. tail], generator),
            _ => throw new ArgumentOutOfRangeException(nameof(pool), pool, "no such pool"),
        };
        return one.reshape([Pooled * HeadDim, .. tail]);
    }

    // Biases are zero, as in a new model.
    private static Tensor Drawn(long[] shape, Generator generator) =>
        shape.Length > 2 ? empty(shape).normal_(0, Deviation, generator) : zeros(shape);
}

/// <summary>How key and value heads are pooled (Ainslie et al. 2023, arXiv 2305.13245, §2.1).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<HeadPool>))]
public enum HeadPool
{
    /// <summary>The mean, which keeps most of what they learned.</summary>
    [JsonStringEnumMemberName("mean")]
    Mean,

    /// <summary>The first head of each group.</summary>
    [JsonStringEnumMemberName("first")]
    First,

    /// <summary>A newly initialised head: the baseline for the others.</summary>
    [JsonStringEnumMemberName("random")]
    Random,
}
