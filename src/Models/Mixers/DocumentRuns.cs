// Shapes: B batch, T positions.
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>Documents packed into a row, for what goes along the row.</summary>
internal static class DocumentRuns
{
    /// <summary>Numbers the documents of each row in order.</summary>
    /// <param name="documents">Ids, of whatever value; null where a row is one document.</param>
    /// <returns>(B, T), int64: 0 for the first, one more wherever the id changes.</returns>
    public static Tensor? Of(DocumentIds? documents)
    {
        if (documents?.Queries is not { } ids) return null;
        long length = ids.size(1);
        Tensor changes = ids.narrow(1, 1, length - 1).ne(ids.narrow(1, 0, length - 1)); // (B, T−1)
        return cat([zeros([ids.size(0), 1], ScalarType.Int64, ids.device), changes.cumsum(1)], 1);
    }
}
