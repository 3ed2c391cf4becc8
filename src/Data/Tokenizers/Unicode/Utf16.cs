using System.Buffers;
using System.Text.Unicode;

namespace Trainer.Data.Tokenizers.Unicode;

internal static class Utf16
{
    public static void Check(ReadOnlySpan<char> text)
    {
        if (FirstLoneSurrogate(text) is var position and >= 0)
            throw EncodingException.LoneSurrogate(text[position], position);
    }

    public static ReadOnlySpan<char> Decode(ReadOnlySpan<byte> utf8)
    {
        var text = new char[utf8.Length];
        if (Utf8.ToUtf16(utf8, text, out var read, out var written, replaceInvalidSequences: false) != OperationStatus.Done)
            throw EncodingException.InvalidUtf8(utf8[read], read);
        return text.AsSpan(0, written);
    }

    public static int FirstLoneSurrogate(ReadOnlySpan<char> text)
    {
        for (var position = 0; ; position += 2)
        {
            var next = text[position..].IndexOfAnyInRange('\uD800', '\uDFFF');
            if (next < 0)
                return -1;
            position += next;
            if (position + 1 >= text.Length || !char.IsSurrogatePair(text[position], text[position + 1]))
                return position;
        }
    }
}

/// <summary>Counts Unicode code points: a surrogate pair is one.</summary>
internal static class CodePoints
{
    public static int Count(ReadOnlySpan<char> text)
    {
        var count = text.Length;
        foreach (var unit in text)
            count -= (unit & 0xFC00) == 0xDC00 ? 1 : 0;
        return count;
    }

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
