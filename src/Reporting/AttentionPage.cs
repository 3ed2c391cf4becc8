using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Reporting;

/// <summary>An HTML page with a picture of every attention head. Weights are kept in 8 bits each, as the square root, which is finest where
/// most weights are: a share of 1/128 is kept to within 0.0004, one near 1 to within 0.004.</summary>
public static class AttentionPage
{
    /// <summary>144 heads of 256 by 256 tokens, about 12 MB.</summary>
    internal const long MaxWeights = 144L * 256 * 256;

    /// <summary>Writes the page atomically.</summary>
    /// <exception cref="UserException">There is nothing to show or too much of it, or the page cannot be written.</exception>
    public static void Write(AttentionMap map, string output) => HtmlPage.Write(output, Create(map));

    /// <summary>Writes the map alone, for <see cref="RunReport"/>, which shows every attention*.json of a run directory.</summary>
    public static void WriteMap(AttentionMap map, string output)
    {
        Require(map);
        HtmlPage.Write(output, JsonSerializer.Serialize(AttentionContent.Of(map), PageJson.Inline) + "\n");
    }

    internal static string Create(AttentionMap map)
    {
        Require(map);
        return HtmlPage.Create($"Attention of {map.Model}", AttentionContent.Of(map), "attention-head.js", "attention.js",
            "attention-picture.js", "attention-page.js");
    }

    private static void Require(AttentionMap map)
    {
        foreach (var stack in map.Stacks) stack.RequireWhole();
        if (map.Stacks.All(stack => stack.Layers.Count == 0))
            throw new UserException($"{map.Model}: none of its layers attends, so there is no map to draw");
        var weights = map.Stacks.Sum(stack => stack.Layers.Sum(layer => layer.Weights.LongLength));
        if (weights > MaxWeights)
            throw new UserException($"{map.Model}: the map has {weights:N0} weights, but a page holds at most {MaxWeights:N0}; " +
                "give a shorter text");
    }
}

internal sealed record AttentionContent(
    string Model, IReadOnlyList<AttentionContent.Stack> Stacks, AttentionPicture? Picture, string Unit)
{
    internal sealed record Stack(string Name, IReadOnlyList<string> Queries, IReadOnlyList<string> Keys, IReadOnlyList<Layer> Layers);

    /// <summary>A layer; the weights are bytes (H, T, S) in base 64, each 255·√weight.</summary>
    internal sealed record Layer(int Index, int Heads, byte[] Weights);

    public static AttentionContent Of(AttentionMap map) => new(map.Model,
        [.. map.Stacks.Where(stack => stack.Layers.Count > 0).Select(stack => new Stack(stack.Name, stack.Queries, stack.Keys,
            [.. stack.Layers.Select(layer => new Layer(layer.Index, layer.Heads, Array.ConvertAll(layer.Weights, Quantised)))]))],
        map.Picture, map.Unit);

    internal static byte Quantised(float weight) => weight > 0 ? (byte)MathF.Round(255 * MathF.Sqrt(MathF.Min(weight, 1))) : (byte)0;
}

// Shapes: H heads, T queries, S keys.

/// <summary>Attention weights on a text: one stack, or three (encoder, decoder and cross) for an encoder-decoder.</summary>
public sealed record AttentionMap(string Model, IReadOnlyList<AttentionStack> Stacks)
{
    /// <summary>What looks and is looked at: <c>token</c> or <c>patch</c>.</summary>
    public string Unit { get; init; } = "token";

    /// <summary>The picture whose patches the tokens are; null for a text.</summary>
    public AttentionPicture? Picture { get; init; }
}

/// <summary>A picture of red, green and blue bytes, row by row, in patches of so many rows and columns; a class token may stand before
/// them.</summary>
public sealed record AttentionPicture(int Height, int Width, byte[] Pixels, int Rows, int Columns, bool ClassToken);

/// <summary>The attention of one kind of layers.</summary>
public sealed record AttentionStack
{
    /// <summary><c>decoder</c>, <c>encoder</c> or <c>cross</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The query tokens, T, as readable labels.</summary>
    public required IReadOnlyList<string> Queries { get; init; }

    /// <summary>The key tokens, S.</summary>
    public required IReadOnlyList<string> Keys { get; init; }

    /// <summary>The attention layers, first to last; other mixers are not among them.</summary>
    public required IReadOnlyList<AttentionLayer> Layers { get; init; }

    /// <summary>Throws <see cref="ArgumentException"/> where a layer lacks a weight for a head, query or key.</summary>
    public void RequireWhole()
    {
        foreach (var layer in Layers)
            if (layer.Weights.Length != layer.Heads * Queries.Count * Keys.Count)
                throw new ArgumentException(
                    $"{Name}, layer {layer.Index}: {layer.Weights.Length} weights, but {layer.Heads} heads of {Queries.Count} queries " +
                    $"and {Keys.Count} keys have {layer.Heads * Queries.Count * Keys.Count}");
    }
}

/// <summary>The attention of one layer, numbered from 0 in the model: shares (H, T, S) in row-major order. The shares of a query add up to
/// 1, or to less where an attention sink takes a part.</summary>
public sealed record AttentionLayer(int Index, int Heads, float[] Weights);
