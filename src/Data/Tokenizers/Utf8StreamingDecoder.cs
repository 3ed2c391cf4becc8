using System.Text;

namespace Trainer.Data;

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
