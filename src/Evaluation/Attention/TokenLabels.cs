using System.Globalization;
using System.Text;
using Trainer.Data.Tokenizers;

namespace Trainer.Evaluation.Attention;

/// <summary>Readable labels of tokens, with visible signs for white space and control characters.</summary>
internal static class TokenLabels
{
    /// <summary>One label for each token: its text, with ␣ for a space, ⏎ for a line end, ⇥ for a tab and \u{…} for other invisible
    /// characters; \xE2… where its bytes are only a part of a character.</summary>
    public static IReadOnlyList<string> Of(Tokenizer tokenizer, IReadOnlyList<int> ids) =>
        [.. ids.Select(id => Of(tokenizer.TokenBytes(id)))];

    /// <summary>The label of a token's bytes.</summary>
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        StringBuilder label = new();
        while (!bytes.IsEmpty)
        {
            var isText = Rune.DecodeFromUtf8(bytes, out var rune, out var consumed) == System.Buffers.OperationStatus.Done;
            if (isText) label.Append(Label(rune));
            else foreach (var one in bytes[..consumed]) label.Append(CultureInfo.InvariantCulture, $"\\x{one:X2}");
            bytes = bytes[consumed..];
        }
        return label.Length == 0 ? "∅" : label.ToString();
    }

    private static string Label(Rune rune) => rune.Value switch
    {
        ' ' => "␣",
        '\n' => "⏎",
        '\r' => "␍",
        '\t' => "⇥",
        _ when IsShapeless(rune) => string.Create(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:X}}}"),
        _ => rune.ToString(),
    };

    private static bool IsShapeless(Rune rune) => Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned;
}
