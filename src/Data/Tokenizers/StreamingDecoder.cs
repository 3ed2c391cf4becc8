namespace Trainer.Data;

/// <summary>Decodes a sequence token by token and gives out whole characters only.</summary>
/// <remarks>All that <see cref="Push"/> and finally <see cref="Flush"/> return, put together, is what
/// <see cref="Tokenizer.Decode"/> returns for the whole sequence.</remarks>
public abstract class StreamingDecoder
{
    /// <summary>Takes the next token.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>The characters that it completes: often one, sometimes none or several.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such id.</exception>
    public abstract string Push(int id);

    /// <summary>Ends the sequence; the decoder can then be used for another one.</summary>
    /// <returns>U+FFFD for a character that was begun and not finished, else nothing.</returns>
    public abstract string Flush();
}
