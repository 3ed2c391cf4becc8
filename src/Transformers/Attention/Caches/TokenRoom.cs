// Shapes: B batch, G heads of a remembered tensor, D width of a head.
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Caches;

/// <summary>Where a token's program writes what is to be remembered of it. Rows stand in the order of their positions.</summary>
/// <param name="First">(B, G, rows, D)</param>
/// <param name="Second">(B, G, rows, D)</param>
/// <param name="Row">The row of the next token, (1), int64; null where it is the token's position.</param>
internal readonly record struct TokenRoom(Tensor First, Tensor Second, Tensor? Row);
