namespace Trainer.Data.HuggingFace;

/// <summary>The split expression of GPT-4o and Llama 4: words by their case, with their English endings.</summary>
internal sealed class O200kScanner : Scanner
{
    public const string Pattern =
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        + @"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        + @"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const byte Letter = CharacterClass.Letter, Number = CharacterClass.Number, Line = CharacterClass.Line;
    private const byte Upper = CharacterClass.Upper, Lower = CharacterClass.Lower;

    public override int End(ReadOnlySpan<char> text, int start)
    {
        var kind = CharacterClass.At(text, start, out var length);
        if ((kind & Number) != 0)
            return Cl100kScanner.Digits(text, start, 3);
        if (Word(text, start, kind, length) is var word and > 0)
            return word;
        return Symbols(text, start) is var symbols && symbols > start ? symbols : Cl100kScanner.Spaces(text, start);
    }

    /// <summary>The first two alternatives, each first with the optional character before it taken, then without; −1 when none matches.</summary>
    private static int Word(ReadOnlySpan<char> text, int start, byte kind, int length)
    {
        var leads = (kind & (Line | Letter | Number)) == 0;
        var end = leads ? Lowered(text, start + length) : -1;
        if (end < 0)
            end = Lowered(text, start);
        if (end < 0 && leads)
            end = Raised(text, start + length);
        if (end < 0)
            end = Raised(text, start);
        return end < 0 ? -1 : end + Contraction.Length(text, end, ignoreCase: true);
    }

    /// <summary>The end of <c>Upper*Lower+</c> or −1; the capitals give back what the rest needs.</summary>
    private static int Lowered(ReadOnlySpan<char> text, int start)
    {
        var capitals = CharacterClass.Run(text, start, Upper);
        var end = CharacterClass.Run(text, capitals, Lower);
        if (end > capitals)
            return end;
        for (var last = capitals; last > start;)   // the last capital that is caseless, then all that is not a capital after it
        {
            var next = last;
            last -= last - start >= 2 && char.IsLowSurrogate(text[last - 1]) ? 2 : 1;
            if ((CharacterClass.At(text, last, out _) & Lower) != 0)
                return next;
        }
        return -1;
    }

    /// <summary>The end of <c>Upper+Lower*</c> or −1.</summary>
    private static int Raised(ReadOnlySpan<char> text, int start)
    {
        var capitals = CharacterClass.Run(text, start, Upper);
        return capitals > start ? CharacterClass.Run(text, capitals, Lower) : -1;
    }

    /// <summary>The end of <c> ?[^\s\p{L}\p{N}]+[\r\n/]*</c>, or the start when it does not match.</summary>
    private static int Symbols(ReadOnlySpan<char> text, int start)
    {
        var end = Cl100kScanner.Symbols(text, start, trailing: 0);
        while (end > start && end < text.Length && text[end] is ('\r' or '\n' or '/'))
            end++;
        return end;
    }
}
