namespace Trainer.Data.HuggingFace;

/// <summary>Encodes texts for one thread at a time.</summary>
internal sealed class Worker(Pipeline pipeline, ModelEncoder encoder, PieceSink chain)
{
    /// <summary>The tokens so far.</summary>
    public IdBuffer Output => encoder.Output;

    /// <summary>Appends the tokens of a text to <see cref="Output"/>.</summary>
    public void Encode(ReadOnlySpan<char> text)
    {
        encoder.Position = 0;
        if (text.IsEmpty)
            return;
        if (pipeline.Added.Plain is not { } matcher || !matcher.IsIn(text))
        {
            EncodePlain(text, atStart: true);
            return;
        }
        foreach (var (start, end, token) in matcher.Split(text))
        {
            encoder.Position = start;
            if (token is null)
                EncodePlain(text[start..end], atStart: start == 0);
            else
                Output.Add(token.Id);
        }
    }

    /// <summary>Appends the tokens of bytes that are no UTF-8.</summary>
    public void EncodeBytes(ReadOnlySpan<byte> bytes) => ((ByteBpeEncoder)encoder).Tokenize(bytes);

    /// <summary>Encodes text in which no token that is looked for as it is remains.</summary>
    private void EncodePlain(ReadOnlySpan<char> text, bool atStart)
    {
        if (pipeline.Normalizer is { } normalizer)
        {
            var original = text.ToString();
            var normalized = normalizer.Apply(original);
            EncodeNormalized(normalized, atStart && (!pipeline.MindsStart || KeepsStart(normalizer, original)));
        }
        else
            EncodeNormalized(text, atStart);
    }

    /// <summary>Whether the first character left something: if not, what remains does not begin where the text begins.</summary>
    private static bool KeepsStart(Normalizer normalizer, string original)
    {
        const string Other = "a";
        return normalizer.Apply(original[..CodePoints.Units(original, 1)] + Other) != normalizer.Apply(Other);
    }

    private void EncodeNormalized(ReadOnlySpan<char> text, bool atStart)
    {
        if (text.IsEmpty)
            return;
        if (pipeline.Added.Normalized is not { } matcher || !matcher.IsIn(text))
        {
            chain.Accept(text, atStart);
            return;
        }
        foreach (var (start, end, token) in matcher.Split(text))
            if (token is null)
                chain.Accept(text[start..end], atStart && start == 0);
            else
                Output.Add(token.Id);
    }
}
