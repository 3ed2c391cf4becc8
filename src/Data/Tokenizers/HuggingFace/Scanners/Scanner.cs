namespace Trainer.Data.HuggingFace;

/// <summary>A hand-written equal of a well-known split expression that matches everywhere, so that its matches cover any text.</summary>
internal abstract class Scanner
{
    /// <summary>The end of the match that begins at <paramref name="start"/>, which lies before the end of the text.</summary>
    public abstract int End(ReadOnlySpan<char> text, int start);

    /// <summary>The scanner for an expression, by its exact text; null when there is none.</summary>
    public static Scanner? For(string pattern) => pattern switch
    {
        Gpt2Scanner.Pattern => new Gpt2Scanner(),
        Cl100kScanner.Llama3Pattern => new Cl100kScanner(digits: 3),
        Cl100kScanner.Qwen2Pattern => new Cl100kScanner(digits: 1),
        O200kScanner.Pattern => new O200kScanner(),
        _ => null,
    };
}
