using System.Buffers;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>ByteLevel: a space in front, GPT-2's expression, and each byte of the pieces as a printable symbol.</summary>
internal sealed class ByteLevelSplit(bool addPrefixSpace, bool useExpression) : PreTokenizer
{
    private static readonly Gpt2Scanner Scanner = new();

    /// <summary>The same without turning bytes into symbols, for a model that reads bytes itself.</summary>
    public PreTokenizer WithoutSymbols => new Plain(addPrefixSpace, useExpression);

    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next) =>
        WithoutSymbols.Split(text, atStart, new Symbols(next));

    /// <summary>The text's UTF-8 bytes as symbols.</summary>
    public static string ToSymbols(ReadOnlySpan<char> text)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        var count = Encoding.UTF8.GetBytes(text, bytes);
        var symbols = string.Create(count, bytes, (output, source) =>
        {
            for (var i = 0; i < output.Length; i++)
                output[i] = ByteLevelAlphabet.Symbol(source[i]);
        });
        ArrayPool<byte>.Shared.Return(bytes);
        return symbols;
    }

    private sealed class Symbols(PieceSink next) : PieceSink
    {
        public override void Accept(ReadOnlySpan<char> piece, bool atStart) => next.Accept(ToSymbols(piece), atStart);
    }

    private sealed class Plain(bool addPrefixSpace, bool useExpression) : PreTokenizer
    {
        public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
        {
            if (addPrefixSpace && text[0] != ' ')
                text = " " + text.ToString();
            if (!useExpression)
            {
                next.Accept(text, atStart);
                return;
            }
            for (var start = 0; start < text.Length;)
            {
                var end = Scanner.End(text, start);
                next.Accept(text[start..end], atStart && start == 0);
                start = end;
            }
        }
    }
}
