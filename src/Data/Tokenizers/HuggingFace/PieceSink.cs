namespace Trainer.Data.HuggingFace;

/// <summary>Takes the pieces of a text one after the other.</summary>
internal abstract class PieceSink
{
    /// <summary>Takes the next piece.</summary>
    /// <param name="piece">The piece; not empty, and only valid during the call.</param>
    /// <param name="atStart">Whether it begins where the whole text begins.</param>
    public abstract void Accept(ReadOnlySpan<char> piece, bool atStart);
}
