using System.Globalization;
using System.Text;
using Trainer.Data.Tokenizers;

namespace Trainer.Evaluation.Attention;

/// <summary>Readable labels of tokens: ␣ space, ⏎ line end, ⇥ tab, \u{…} other invisible characters, \xE2… parts of characters.</summary>
internal static class TokenLabels
{
    public static IReadOnlyList<string> Of(Tokenizer tokenizer, IReadOnlyList<int> ids) =>
        [.. ids.Select(id => Of(tokenizer.TokenBytes(id)))];

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
