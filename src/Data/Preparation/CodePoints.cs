namespace Trainer.Data;

/// <summary>Characters as Unicode counts them: a surrogate pair is one.</summary>
internal static class CodePoints
{
    /// <summary>The number of code points in valid UTF-16.</summary>
    public static int Count(ReadOnlySpan<char> text)
    {
        var count = text.Length;
        foreach (var unit in text)
            count -= (unit & 0xFC00) == 0xDC00 ? 1 : 0;
        return count;
    }

    /// <summary>The number of UTF-16 units that the first <paramref name="count"/> code points take.</summary>
    public static int Units(ReadOnlySpan<char> text, long count)
    {
        if (count >= text.Length)
            return text.Length;
        var units = 0;
        for (; count > 0 && units < text.Length; count--)
            units += char.IsHighSurrogate(text[units]) ? 2 : 1;
        return units;
    }
}
