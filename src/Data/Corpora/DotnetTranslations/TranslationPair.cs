using System.Text.RegularExpressions;

namespace Trainer.Data;

/// <summary>A message in English and in another language.</summary>
/// <param name="Language">The other language.</param>
/// <param name="Key">Which message it is: the name of its resource and its key in it.</param>
/// <param name="Source">The English text.</param>
/// <param name="Target">The other.</param>
internal sealed partial record TranslationPair(string Language, string Key, string Source, string Target)
{
    /// <summary>Cleans both texts.</summary>
    /// <returns>The pair; null when it is no translation: when a text has no words besides placeholders, holds control
    /// characters, or says in the same letters what the other does.</returns>
    public static TranslationPair? Of(string language, string key, string source, string target)
    {
        var (english, other) = (Clean(source), Clean(target));
        var (sourceLetters, targetLetters) = (Letters(english), Letters(other));
        return sourceLetters.Length >= 2 && targetLetters.Length >= 1 && sourceLetters != targetLetters && IsText(english) && IsText(other)
            ? new TranslationPair(language, key, english, other)
            : null;
    }

    /// <summary>A text's letters without case, placeholders and all else: what two messages have in common that say the same.</summary>
    public static string Letters(string text) => string.Concat(Placeholder().Replace(text, " ").Where(char.IsLetter)).ToLowerInvariant();

    private static string Clean(string text) => text.ReplaceLineEndings("\n").Trim();

    private static bool IsText(string text) => !text.Any(c => c is '\uFFFD' || (char.IsControl(c) && c is not ('\n' or '\t')));

    /// <summary><c>{0:N2}</c>, <c>%s</c>, <c>$(Property)</c>, <c>@(Item)</c>.</summary>
    [GeneratedRegex(@"\{[^{}\s]*\}|%\d*[a-z]\b|[$@]\([^)]*\)")]
    private static partial Regex Placeholder();
}
