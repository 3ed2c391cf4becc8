using System.Buffers;
using System.Text;

namespace Trainer.Text;

/// <summary>Checks of UTF-16.</summary>
internal static class Utf16
{
    /// <summary>Refuses text with halves of surrogate pairs that stand alone; most text has no surrogates and is passed at once.</summary>
    /// <exception cref="EncodingException">It holds one.</exception>
    public static void Check(ReadOnlySpan<char> text)
    {
        for (var position = text.IndexOfAnyInRange('\uD800', '\uDFFF'); position >= 0;)
        {
            if (Rune.DecodeFromUtf16(text[position..], out _, out var length) != OperationStatus.Done)
                throw EncodingException.LoneSurrogate(text[position], position);
            var next = text[(position + length)..].IndexOfAnyInRange('\uD800', '\uDFFF');
            position = next < 0 ? -1 : position + length + next;
        }
    }
}
