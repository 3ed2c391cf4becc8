using System.Text.RegularExpressions;

namespace Trainer.Data;

/// <summary>English sentences, told from signatures, instructions and other things that documentation also holds.</summary>
internal static partial class Prose
{
    /// <summary>The sentences of a paragraph that are prose.</summary>
    public static IEnumerable<string> Sentences(string paragraph) =>
        SentenceEnd().Split(paragraph).Select(sentence => sentence.Trim()).Where(IsProse);

    /// <summary>What two sentences have in common that differ in capitals and punctuation only.</summary>
    public static string Key(string sentence) =>
        string.Create(sentence.Count(char.IsAsciiLetterOrDigit), sentence, static (key, sentence) =>
        {
            var length = 0;
            foreach (var c in sentence)
                if (char.IsAsciiLetterOrDigit(c))
                    key[length++] = char.ToLowerInvariant(c);
        });

    private static bool IsProse(string sentence)
    {
        var (words, plain) = (1, 0);
        foreach (var c in sentence)
        {
            if (c is < ' ' or > '~')
                return false;   // a handful of sentences in signs of their own are not worth a larger alphabet
            words += c == ' ' ? 1 : 0;
            plain += char.IsAsciiLetter(c) || c is ' ' or '.' or ',' ? 1 : 0;
        }
        return words >= 2
            && plain >= sentence.Length * 0.85
            && char.IsAsciiLetterOrDigit(sentence[0])
            && sentence[^1] is '.' or '!' or '?' or ':' or ')' or '"'
            && !Signature().IsMatch(sentence);
    }

    [GeneratedRegex(@"(?<=[.!?][)""']?)(?<!\b(?:e\.g|i\.e|etc|vs)\.) +(?=[A-Z""(])")]
    private static partial Regex SentenceEnd();

    /// <summary>C and assembler, such as <c>__m128i _mm_add_epi16</c>, <c>uint8x8_t vadd_u8 (…)</c> and <c>INSR Ztied1.B, Bop2</c>; unfinished notes.</summary>
    [GeneratedRegex(@"__|_t\b|\b_[a-z]|\bA(?:32|64): |\b[BDWXZ](?:tied|op|result)|\bPg/|To be added|[{}\\;]$|=>")]
    private static partial Regex Signature();
}
