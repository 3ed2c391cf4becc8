namespace Trainer.Data.HuggingFace;

/// <summary>Finds what is no valid Unicode text.</summary>
internal static class EncodingValidity
{
    /// <summary>The index of the first surrogate without its other half, or −1.</summary>
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
