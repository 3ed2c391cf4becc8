using System.Text;

namespace Trainer.Text;

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

/// <summary>The decoder for tokenizers whose tokens stand for fixed bytes of UTF-8.</summary>
internal sealed class Utf8StreamingDecoder(Tokenizer tokenizer) : StreamingDecoder
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    public override string Push(int id) => Convert(tokenizer.TokenBytes(id), flush: false);

    public override string Flush() => Convert([], flush: true);

    private string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        return new string(characters, 0, decoder.GetChars(bytes, characters, flush));
    }
}
