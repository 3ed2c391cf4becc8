namespace Trainer.Data.HuggingFace;

/// <summary>The split expression of GPT-4, Llama 3 (three digits at a time) and Qwen 2 (one).</summary>
internal sealed class Cl100kScanner(int digits) : Scanner
{
    public const string Llama3Pattern = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string Qwen2Pattern = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const byte Letter = CharacterClass.Letter, Number = CharacterClass.Number, Space = CharacterClass.Space, Line = CharacterClass.Line;

    public override int End(ReadOnlySpan<char> text, int start)
    {
        if (Contraction.Length(text, start, ignoreCase: true) is var contraction and > 0)
            return start + contraction;
        var kind = CharacterClass.At(text, start, out var length);
        if ((kind & Letter) != 0)
            return CharacterClass.Run(text, start + length, Letter);
        if ((kind & Number) != 0)
            return Digits(text, start, digits);
        if ((kind & Line) == 0 && CharacterClass.Run(text, start + length, Letter) is var word && word > start + length)
            return word;
        return Symbols(text, start, Line) is var symbols && symbols > start ? symbols : Spaces(text, start);
    }

    /// <summary>The end of <c>\p{N}{1,most}</c>, at a number.</summary>
    public static int Digits(ReadOnlySpan<char> text, int start, int most)
    {
        for (var count = 0; count < most && start < text.Length && (CharacterClass.At(text, start, out var length) & Number) != 0; count++)
            start += length;
        return start;
    }

    /// <summary>The end of <c> ?[^\s\p{L}\p{N}]+[\r\n]*</c>, or the start when it does not match.</summary>
    public static int Symbols(ReadOnlySpan<char> text, int start, byte trailing)
    {
        var first = text[start] == ' ' ? start + 1 : start;
        var end = CharacterClass.RunExcept(text, first, Space | Letter | Number);
        return end == first ? start : CharacterClass.Run(text, end, trailing);
    }

    /// <summary>The end of <c>\s*[\r\n]+|\s+(?!\S)|\s+</c>: up to the last line break in the white space, if there is one.</summary>
    public static int Spaces(ReadOnlySpan<char> text, int start)
    {
        var end = CharacterClass.Run(text, start, Space);
        var line = text[start..end].LastIndexOfAny('\r', '\n');
        return line >= 0 ? start + line + 1 : CharacterClass.SpaceEnd(text, start);
    }
}
