namespace Trainer.Data.HuggingFace;

/// <summary>The English endings that split expressions keep together: 's 't 're 've 'm 'll 'd.</summary>
internal static class Contraction
{
    /// <summary>The length of the ending at a position, apostrophe included; 0 when there is none.</summary>
    public static int Length(ReadOnlySpan<char> text, int position, bool ignoreCase)
    {
        if (position + 1 >= text.Length || text[position] != '\'')
            return 0;
        var first = Fold(text[position + 1], ignoreCase);
        if (first is 's' or 't' or 'm' or 'd')
            return 2;
        if (position + 2 >= text.Length)
            return 0;
        return (first, Fold(text[position + 2], ignoreCase)) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    /// <summary>Unicode folds the long s to s.</summary>
    private static char Fold(char unit, bool ignoreCase) =>
        !ignoreCase ? unit : unit is >= 'A' and <= 'Z' ? (char)(unit | 0x20) : unit == '\u017F' ? 's' : unit;
}
