using System.Globalization;
using System.Text;
using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>Cuts text as Hugging Face's pre-tokenizer <c>Whitespace</c> does, <c>\w+|[^\w\s]+</c>, with the white space between as words of its own.</summary>
internal sealed class WordRunScanner : Scanner
{
    private enum Run : byte
    {
        Sign,
        Word,
        Space,
    }

    private static readonly Run[] Basic = [.. Enumerable.Range(0, 0x10000).Select(value => Rune.IsValid(value) ? Classify(new Rune(value)) : Run.Sign)];

    /// <inheritdoc/>
    public override int End(ReadOnlySpan<char> text, int start)
    {
        var run = At(text, start, out var length);
        var end = start + length;
        while (end < text.Length && At(text, end, out length) == run)
            end += length;
        return end;
    }

    /// <summary>Whether a word of this scanner is white space.</summary>
    public static bool IsSpace(ReadOnlySpan<char> word) => Basic[word[0]] == Run.Space;

    private static Run At(ReadOnlySpan<char> text, int position, out int length)
    {
        length = char.IsHighSurrogate(text[position]) && position + 1 < text.Length ? 2 : 1;
        return length == 1 ? Basic[text[position]] : Classify(new Rune(text[position], text[position + 1]));
    }

    private static Run Classify(Rune character) => Rune.IsWhiteSpace(character) ? Run.Space : IsWord(character) ? Run.Word : Run.Sign;

    /// <summary>Unicode's <c>\w</c> (UTS 18): Alphabetic, M, Nd, Pc and Join_Control.</summary>
    private static bool IsWord(Rune character) => Rune.GetUnicodeCategory(character) switch
    {
        <= UnicodeCategory.LetterNumber => true,   // L, M, Nd, Nl
        UnicodeCategory.ConnectorPunctuation => true,
        UnicodeCategory.OtherSymbol => character.Value is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
        _ => character.Value is 0x200C or 0x200D,
    };
}
