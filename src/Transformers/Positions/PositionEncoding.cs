// Shapes: B batch, T positions, S visible positions, H query heads, G key-value heads, D head dimension, C model dimension.
using static TorchSharp.torch;

namespace Trainer.Transformers.Positions;

/// <summary>How the order of tokens enters the model: on the embeddings, on queries and keys, on their scores, or nowhere.</summary>
internal abstract class PositionEncoding(string name) : nn.Module(name)
{
    /// <summary>Positions that can be told apart; null without limit.</summary>
    public virtual int? Limit => null;

    /// <summary>Whether <see cref="Rotate"/> does anything.</summary>
    public virtual bool RotatesHeads => false;

    /// <summary>Adds positions to token embeddings.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="offset">Position of the first token.</param>
    public virtual Tensor Embed(Tensor x, int offset) => x;

    /// <summary>Turns queries or keys by their positions.</summary>
    /// <param name="heads">(B, T, H, D)</param>
    /// <param name="offset">Position of the first token.</param>
    public virtual Tensor Rotate(Tensor heads, int offset) => heads;

    /// <summary>What positions add to the scaled scores of queries and keys.</summary>
    /// <param name="query">(B, H, T, D)</param>
    /// <param name="key">(B, G, S, D), the queries' positions last.</param>
    /// <param name="offset">Position of the first query.</param>
    /// <returns>(1, H, T, S); null for nothing.</returns>
    public virtual Tensor? Bias(Tensor query, Tensor key, int offset) => null;
}
