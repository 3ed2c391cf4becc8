using System.Buffers;
using System.Text.Unicode;
using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>UTF-16 that is known to be valid.</summary>
internal static class Utf16
{
    /// <summary>Refuses text with halves of surrogate pairs that stand alone.</summary>
    /// <exception cref="EncodingException">It holds one.</exception>
    public static void Check(ReadOnlySpan<char> text)
    {
        if (EncodingValidity.FirstLoneSurrogate(text) is var position and >= 0)
            throw EncodingException.LoneSurrogate(text[position], position);
    }

    /// <summary>The text of UTF-8 bytes.</summary>
    /// <exception cref="EncodingException">They are not valid UTF-8.</exception>
    public static ReadOnlySpan<char> Decode(ReadOnlySpan<byte> utf8)
    {
        var text = new char[utf8.Length];
        if (Utf8.ToUtf16(utf8, text, out var read, out var written, replaceInvalidSequences: false) != OperationStatus.Done)
            throw EncodingException.InvalidUtf8(utf8[read], read);
        return text.AsSpan(0, written);
    }
}
