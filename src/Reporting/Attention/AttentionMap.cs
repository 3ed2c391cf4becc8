// Shapes: H heads, T queries, S keys.
namespace Trainer.Reporting;

/// <summary>Whom each token of a text looks at, in every layer and head.</summary>
/// <param name="Model">What the model is called.</param>
/// <param name="Stacks">One for a decoder or an encoder; encoder, decoder and cross for an encoder-decoder.</param>
public sealed record AttentionMap(string Model, IReadOnlyList<AttentionStack> Stacks);

/// <summary>The attention of one kind of layers.</summary>
public sealed record AttentionStack
{
    /// <summary>What it is, such as <c>decoder</c>, <c>encoder</c> or <c>cross</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The tokens that look, T, as people can read them.</summary>
    public required IReadOnlyList<string> Queries { get; init; }

    /// <summary>The tokens that are looked at, S.</summary>
    public required IReadOnlyList<string> Keys { get; init; }

    /// <summary>The layers that attend, from the first to the last. Those that mix tokens in another way are not among them.</summary>
    public required IReadOnlyList<AttentionLayer> Layers { get; init; }

    /// <summary>Checks that every layer has a weight for each head, query and key.</summary>
    /// <exception cref="ArgumentException">One has not.</exception>
    public void RequireWhole()
    {
        foreach (var layer in Layers)
            if (layer.Weights.Length != layer.Heads * Queries.Count * Keys.Count)
                throw new ArgumentException(
                    $"{Name}, layer {layer.Index}: {layer.Weights.Length} weights, but {layer.Heads} heads of {Queries.Count} queries and {Keys.Count} keys have {layer.Heads * Queries.Count * Keys.Count}");
    }
}

/// <summary>The attention of one layer.</summary>
/// <param name="Index">Its place in the model, from 0.</param>
/// <param name="Heads">How many heads it has, H.</param>
/// <param name="Weights">Shares of attention, (H, T, S) in row-major order; the shares of a query add up to 1, or to less where an
/// attention sink takes a part.</param>
public sealed record AttentionLayer(int Index, int Heads, float[] Weights);
