namespace Trainer.Data.HuggingFace;

/// <summary>A model at work: tokenizes pieces one after the other, remembering the common ones. For one thread at a time.</summary>
internal abstract class ModelEncoder : PieceSink
{
    private readonly WordCache cache = new();

    /// <summary>The tokens so far.</summary>
    public IdBuffer Output { get; } = new();

    /// <summary>Where in the caller's text the pieces come from, for errors.</summary>
    public int Position { get; set; }

    public sealed override void Accept(ReadOnlySpan<char> piece, bool atStart)
    {
        if (piece.Length > WordCache.LongestPiece)
        {
            Tokenize(piece);
            return;
        }
        var hash = WordCache.Hash(piece);
        if (cache.TryAppend(piece, hash, Output))
            return;
        var start = Output.Count;
        Tokenize(piece);
        cache.Add(piece, hash, Output.Written[start..]);
    }

    /// <summary>Appends the tokens of a piece to <see cref="Output"/>.</summary>
    protected abstract void Tokenize(ReadOnlySpan<char> piece);

    /// <summary>The error for a piece that the vocabulary cannot express.</summary>
    protected EncodingException Unknown(ReadOnlySpan<char> piece, string unknownToken) => new(
        $"\"{(piece.Length > 40 ? string.Concat(piece[..40], "…") : piece)}\" is not in the vocabulary, which has no token for unknown words{unknownToken} either; "
        + "remove or replace it, or use another tokenizer", Position);
}
