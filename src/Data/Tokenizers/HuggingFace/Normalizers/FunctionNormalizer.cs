using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>A normalizer that is one function.</summary>
internal sealed class FunctionNormalizer(Func<string, string> apply) : Normalizer
{
    public override string Apply(string text) => apply(text);

    /// <summary>A normalizer that rewrites each character on its own.</summary>
    public static FunctionNormalizer OfCharacters(Action<StringBuilder, Rune> append) => new(text =>
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var character in text.EnumerateRunes())
            append(result, character);
        return result.ToString();
    });
}
