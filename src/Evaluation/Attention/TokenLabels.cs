using System.Globalization;
using System.Text;
using Trainer.Data;

namespace Trainer.Evaluation.Attention;

/// <summary>Tokens as people can read them: one by one, with the signs that are otherwise not to be seen.</summary>
public static class TokenLabels
{
    /// <summary>The labels of tokens.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="ids">Token ids.</param>
    /// <returns>One label for each: its text, with ␣ for a space, ⏎ for the end of a line, ⇥ for a tab and \u{…} for other signs that
    /// have no shape; \xE2… where its bytes are only a part of a character.</returns>
    public static IReadOnlyList<string> Of(Tokenizer tokenizer, IReadOnlyList<int> ids) => [.. ids.Select(id => Of(tokenizer.TokenBytes(id)))];

    /// <summary>The label of a token's bytes.</summary>
    /// <param name="bytes">What the token stands for.</param>
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
