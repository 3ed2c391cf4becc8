using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A text that a tokenizer cannot express.</summary>
/// <param name="reason">What is wrong and how to mend it, without the place.</param>
/// <param name="position">Where, counted from 0: a UTF-16 index for text, a byte offset for bytes.</param>
/// <param name="unit">What <paramref name="position"/> counts.</param>
public sealed class EncodingException(string reason, int position, string unit = "position")
    : UserException($"{reason} (at {unit} {position})")
{
    /// <summary>What is wrong and how to mend it, without the place.</summary>
    public string Reason { get; } = reason;

    /// <summary>Where, counted from 0: a UTF-16 index for text, a byte offset for bytes.</summary>
    public int Position { get; } = position;

    internal static EncodingException LoneSurrogate(char value, int position) => new(
        $"the text holds U+{(int)value:X4}, half of a surrogate pair and no character of its own; remove it or replace it by U+FFFD", position);

    internal static EncodingException InvalidUtf8(byte value, int offset) => new(
        $"the bytes are not valid UTF-8: 0x{value:X2} begins no whole character; convert them to UTF-8, or use the byte tokenizer", offset, "byte");
}
