using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>ByteLevel: symbols are bytes, and all bytes together are UTF-8. Tokens with other characters stand for their own UTF-8.</summary>
internal sealed class ByteLevelStage : DecoderStage
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private bool started;

    public override void Push(string text, bool begins) => Emit(Bytes(text), flush: false);

    public override void Flush()
    {
        Emit([], flush: true);
        started = false;
        base.Flush();
    }

    /// <summary>The bytes that a token stands for.</summary>
    public static byte[] Bytes(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < bytes.Length; i++)
            if (!ByteLevelAlphabet.TryGetByte(token[i], out bytes[i]))
                return Encoding.UTF8.GetBytes(token);
        return bytes;
    }

    private void Emit(byte[] bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        var count = decoder.GetChars(bytes, characters, flush);
        if (count == 0)
            return;
        Next.Push(new string(characters, 0, count), begins: !started);
        started = true;
    }
}
