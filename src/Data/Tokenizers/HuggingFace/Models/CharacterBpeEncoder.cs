using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>BPE over the characters of a piece, with all that can be done about unknown ones.</summary>
internal sealed class CharacterBpeEncoder(BpeModel model, Merger merger) : ModelEncoder
{
    private readonly ByteTokens? byteTokens = model.ByteFallback ? new ByteTokens(token => model.Id(token)) : null;
    private readonly int unknown = model.UnknownToken is null ? -1 : model.Id(model.UnknownToken);
    private readonly IdBuffer symbols = new();

    protected override void Tokenize(ReadOnlySpan<char> piece)
    {
        if (model.IgnoreMerges && model.Id(piece) is var whole and >= 0)
        {
            Output.Add(whole);
            return;
        }
        symbols.Clear();
        var pendingUnknown = false;
        for (var start = 0; start < piece.Length;)
        {
            Rune.DecodeFromUtf16(piece[start..], out _, out var length);
            Append(piece, start, length, ref pendingUnknown);
            start += length;
        }
        if (pendingUnknown)
            symbols.Add(unknown);
        var ids = Output.Reserve(symbols.Count);
        symbols.Written.CopyTo(ids);
        Output.Advance(merger.Merge(ids));
    }

    /// <summary>Appends one character's symbol. An unknown one waits until a known one follows, which lets neighbours fuse;
    /// bytes do not end that wait, as in Hugging Face's library.</summary>
    private void Append(ReadOnlySpan<char> piece, int start, int length, ref bool pendingUnknown)
    {
        var id = Symbol(piece, start, length, out var symbol);
        if (id >= 0)
        {
            if (pendingUnknown)
                symbols.Add(unknown);
            pendingUnknown = false;
            symbols.Add(id);
        }
        else if (byteTokens is null || !byteTokens.TryAppend(symbol, symbols))
        {
            if (model.UnknownToken is null)
                return;   // Hugging Face's library leaves such characters out
            if (unknown < 0)
                throw Unknown(piece, $" ({model.UnknownToken})");
            if (pendingUnknown && !model.FuseUnknown)
                symbols.Add(unknown);
            pendingUnknown = true;
        }
    }

    private int Symbol(ReadOnlySpan<char> piece, int start, int length, out ReadOnlySpan<char> symbol)
    {
        symbol = piece.Slice(start, length);
        if (start > 0 && model.Prefix.Length > 0)
            symbol = string.Concat(model.Prefix, symbol);
        if (start + length == piece.Length && model.Suffix.Length > 0)
            symbol = string.Concat(symbol, model.Suffix);
        return model.Id(symbol);
    }
}
