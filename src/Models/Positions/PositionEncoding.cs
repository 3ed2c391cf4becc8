// Shapes: B batch, T positions, S key positions, H heads, D head dimension, C model dimension.
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>How the order of tokens enters the model: on the embeddings, on queries and keys, on their scores, or nowhere.</summary>
internal abstract class PositionEncoding(string name) : nn.Module(name)
{
    /// <summary>Positions that can be told apart; null without limit.</summary>
    public virtual int? Limit => null;

    /// <summary>Whether <see cref="Rotate"/> does anything.</summary>
    public virtual bool RotatesHeads => false;

    /// <summary>Whether <see cref="Bias"/> gives anything.</summary>
    public virtual bool AddsBias => false;

    /// <summary>The factor on all scores, beside the attention's own.</summary>
    public virtual double ScoreFactor => 1;

    /// <summary>Adds positions to token embeddings.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="pass">Where the tokens stand.</param>
    public virtual Tensor Embed(Tensor x, ForwardPass pass) => x;

    /// <summary>Turns queries or keys by their positions.</summary>
    /// <param name="heads">(B, T, H, D)</param>
    /// <param name="pass">Where the tokens stand.</param>
    public virtual Tensor Rotate(Tensor heads, ForwardPass pass) => heads;

    /// <summary>What <see cref="Rotate"/> does, for kernels that do it themselves; null where they cannot.</summary>
    /// <param name="pass">Where the tokens stand.</param>
    /// <param name="count">Positions, T.</param>
    /// <param name="device">Where the heads are.</param>
    public virtual RotaryAngles? Angles(ForwardPass pass, int count, Device device) => null;

    /// <summary>What positions add to the scaled scores of queries and keys.</summary>
    /// <remarks>It depends on distances alone, which documents packed into a row keep: columns stand for positions, unless
    /// positions skip (<see cref="ForwardPass.SkippingPositions"/>).</remarks>
    /// <param name="query">(B, H, T, D), for its device and type.</param>
    /// <param name="pass">What the layers share.</param>
    /// <param name="queries">Where the T queries stand.</param>
    /// <param name="keys">Where the S keys stand.</param>
    /// <returns>(1, H, T, S), or (B, H, T, S) where positions skip; null for nothing.</returns>
    public virtual Tensor? Bias(Tensor query, ForwardPass pass, PositionSpan queries, PositionSpan keys) => null;
}
