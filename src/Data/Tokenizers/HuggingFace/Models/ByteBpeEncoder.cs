using System.Buffers;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Byte-level BPE straight from the bytes of a piece, without their symbols.</summary>
internal sealed class ByteBpeEncoder(BpeModel model, Merger merger) : ModelEncoder
{
    private byte[] bytes = new byte[1024];

    /// <summary>Appends the tokens of bytes that need not be UTF-8.</summary>
    public void Tokenize(ReadOnlySpan<byte> piece)
    {
        if (model.IgnoreMerges && WholeToken(piece) is var whole and >= 0)
        {
            Output.Add(whole);
            return;
        }
        var symbols = Output.Reserve(piece.Length);
        for (var i = 0; i < piece.Length; i++)
            symbols[i] = model.ByteIds[piece[i]];
        Output.Advance(merger.Merge(symbols));
    }

    protected override void Tokenize(ReadOnlySpan<char> piece)
    {
        if (bytes.Length < piece.Length * 3)
            bytes = new byte[piece.Length * 4];
        Tokenize(bytes.AsSpan(0, Encoding.UTF8.GetBytes(piece, bytes)));
    }

    private int WholeToken(ReadOnlySpan<byte> piece)
    {
        var symbols = ArrayPool<char>.Shared.Rent(piece.Length);
        for (var i = 0; i < piece.Length; i++)
            symbols[i] = ByteLevelAlphabet.Symbol(piece[i]);
        var id = model.Id(symbols.AsSpan(0, piece.Length));
        ArrayPool<char>.Shared.Return(symbols);
        return id;
    }
}
