namespace Trainer.Text;

/// <summary>Cuts text into words as the expressions of <see cref="SplitPattern"/> do, by code points and without an expression engine.</summary>
/// <remarks>.NET's own expressions see halves of surrogate pairs, so that letters beyond the Basic Multilingual Plane
/// would be punctuation to them.</remarks>
internal abstract class WordSplitter
{
    /// <summary>GPT-2's expression, as its authors wrote it.</summary>
    public const string Gpt2Expression = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>The expression of cl100k; possessive quantifiers, which change nothing but speed, left out.</summary>
    public const string Cl100kExpression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>The splitter of a pattern.</summary>
    public static WordSplitter Of(SplitPattern pattern) => pattern switch
    {
        SplitPattern.Gpt2 => new Gpt2Splitter(),
        SplitPattern.Cl100k => new Cl100kSplitter(),
        _ => throw new ArgumentOutOfRangeException(nameof(pattern), pattern, "no such pattern"),
    };

    /// <summary>Where the word that begins at <paramref name="start"/> ends; every character belongs to a word.</summary>
    public abstract int End(ReadOnlySpan<char> text, int start);

    /// <summary><c>\s+(?!\S)|\s+</c>: a run of white space, but for its last character when a word follows.</summary>
    protected static int EndOfSpace(ReadOnlySpan<char> text, int start)
    {
        var end = CharacterClasses.EndOfRun(text, start, CharacterClass.Space);
        return end == text.Length || end - start == 1 ? end : end - 1;
    }

    /// <summary>The length of an English contraction such as <c>'re</c>, or 0.</summary>
    protected static int Contraction(ReadOnlySpan<char> text, int start, bool anyCase)
    {
        if (text[start] != '\'' || start + 1 == text.Length)
            return 0;
        var first = Fold(text[start + 1], anyCase);
        if (first is 's' or 't' or 'm' or 'd')
            return 2;
        if (start + 2 == text.Length)
            return 0;
        return (first, Fold(text[start + 2], anyCase)) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    /// <summary>Unicode's simple case folding of the letters that contractions have; U+017F is the long s.</summary>
    private static char Fold(char value, bool anyCase) =>
        !anyCase ? value : value == '\u017F' ? 's' : char.IsAsciiLetterUpper(value) ? (char)(value | 0x20) : value;

    private sealed class Gpt2Splitter : WordSplitter
    {
        public override int End(ReadOnlySpan<char> text, int start)
        {
            if (Contraction(text, start, anyCase: false) is > 0 and var contraction)
                return start + contraction;
            var body = text[start] == ' ' ? start + 1 : start;
            if (body < text.Length && CharacterClasses.At(text, body, out var length) is var kind and not CharacterClass.Space)
                return CharacterClasses.EndOfRun(text, body + length, kind);
            return EndOfSpace(text, start);
        }
    }

    private sealed class Cl100kSplitter : WordSplitter
    {
        public override int End(ReadOnlySpan<char> text, int start)
        {
            if (Contraction(text, start, anyCase: true) is > 0 and var contraction)
                return start + contraction;
            var kind = CharacterClasses.At(text, start, out var length);
            var next = start + length;
            if (kind == CharacterClass.Letter)
                return CharacterClasses.EndOfRun(text, next, CharacterClass.Letter);
            if (kind == CharacterClass.Number)
                return EndOfNumber(text, next);
            if (text[start] is not ('\r' or '\n') && CharacterClasses.EndOfRun(text, next, CharacterClass.Letter) is var word && word > next)
                return word;
            return EndOfOther(text, start) ?? EndOfLines(text, start) ?? EndOfSpace(text, start);
        }

        /// <summary>The rest of <c>\p{N}{1,3}</c> after the first digit.</summary>
        private static int EndOfNumber(ReadOnlySpan<char> text, int position)
        {
            for (var digits = 1; digits < 3 && position < text.Length && CharacterClasses.At(text, position, out var length) == CharacterClass.Number; digits++)
                position += length;
            return position;
        }

        /// <summary><c> ?[^\s\p{L}\p{N}]+[\r\n]*</c>.</summary>
        private static int? EndOfOther(ReadOnlySpan<char> text, int start)
        {
            var body = text[start] == ' ' ? start + 1 : start;
            var end = CharacterClasses.EndOfRun(text, body, CharacterClass.Other);
            if (end == body)
                return null;
            while (end < text.Length && text[end] is ('\r' or '\n'))
                end++;
            return end;
        }

        /// <summary><c>\s*[\r\n]+</c>: up to the last line break of the run of white space.</summary>
        private static int? EndOfLines(ReadOnlySpan<char> text, int start)
        {
            var end = CharacterClasses.EndOfRun(text, start, CharacterClass.Space);
            var last = text[start..end].LastIndexOfAny('\r', '\n');
            return last < 0 ? null : start + last + 1;
        }
    }
}
