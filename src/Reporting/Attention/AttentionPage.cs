using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Reporting;

/// <summary>One HTML page with a picture of every head: who looks at whom, and how much.</summary>
/// <remarks>It uses the same page as <see cref="RunReport"/>. Weights are kept in 8 bits each, as the square root, which is finest
/// where most weights are: a share of 1/128 is kept to within 0.0004, one near 1 to within 0.004.</remarks>
public static class AttentionPage
{
    /// <summary>The most weights of a page: 144 heads of 256 by 256 tokens, about 12 MB.</summary>
    public const long MostWeights = 144L * 256 * 256;

    /// <summary>Writes the page.</summary>
    /// <param name="map">The weights.</param>
    /// <param name="output">The file; replaced as a whole when it is there.</param>
    /// <exception cref="UserException">There is nothing to show or too much of it, or the page cannot be written.</exception>
    public static void Write(AttentionMap map, string output) => HtmlPage.Write(output, Create(map));

    /// <summary>Writes the map alone, for <see cref="RunReport"/>, which shows every attention*.json of a run directory.</summary>
    /// <param name="map">The weights.</param>
    /// <param name="output">The file; replaced as a whole when it is there.</param>
    /// <exception cref="UserException">There is nothing to show or too much of it, or the file cannot be written.</exception>
    public static void WriteMap(AttentionMap map, string output)
    {
        Require(map);
        HtmlPage.Write(output, JsonSerializer.Serialize(AttentionContent.Of(map), PageJson.Inline) + "\n");
    }

    /// <summary>Makes the page.</summary>
    /// <param name="map">The weights.</param>
    /// <exception cref="UserException">There is nothing to show, or too much.</exception>
    internal static string Create(AttentionMap map)
    {
        Require(map);
        return HtmlPage.Create($"Attention of {map.Model}", AttentionContent.Of(map), "attention-head.js", "attention.js", "attention-page.js");
    }

    private static void Require(AttentionMap map)
    {
        foreach (var stack in map.Stacks) stack.RequireWhole();
        if (map.Stacks.All(stack => stack.Layers.Count == 0))
            throw new UserException($"{map.Model}: none of its layers attends, so there is no map to draw");
        var weights = map.Stacks.Sum(stack => stack.Layers.Sum(layer => layer.Weights.LongLength));
        if (weights > MostWeights)
            throw new UserException($"{map.Model}: the map has {weights:N0} weights, but a page holds at most {MostWeights:N0}; give a shorter text");
    }
}

/// <summary>What the scripts of an attention page are given.</summary>
/// <param name="Model">What the model is called.</param>
/// <param name="Stacks">The stacks.</param>
internal sealed record AttentionContent(string Model, IReadOnlyList<AttentionContent.Stack> Stacks)
{
    /// <summary>A stack of layers.</summary>
    internal sealed record Stack(string Name, IReadOnlyList<string> Queries, IReadOnlyList<string> Keys, IReadOnlyList<Layer> Layers);

    /// <summary>A layer; the weights are bytes (H, T, S) in base 64, each 255·√weight.</summary>
    internal sealed record Layer(int Index, int Heads, byte[] Weights);

    /// <summary>The content of a map.</summary>
    public static AttentionContent Of(AttentionMap map) => new(map.Model,
        [.. map.Stacks.Where(stack => stack.Layers.Count > 0).Select(stack => new Stack(stack.Name, stack.Queries, stack.Keys,
            [.. stack.Layers.Select(layer => new Layer(layer.Index, layer.Heads, Array.ConvertAll(layer.Weights, Quantised)))]))]);

    /// <summary>255·√weight, rounded; what is not a number is 0.</summary>
    internal static byte Quantised(float weight) => weight > 0 ? (byte)MathF.Round(255 * MathF.Sqrt(MathF.Min(weight, 1))) : (byte)0;
}
