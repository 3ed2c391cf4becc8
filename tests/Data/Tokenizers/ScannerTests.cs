using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.RegularExpressions;

namespace Trainer.Data.Tests.Tokenizers;

/// <summary>Scanners split exactly like their expressions.</summary>
public sealed class ScannerTests
{
    public static TheoryData<string> Patterns =>
        [Gpt2Scanner.Pattern, Cl100kScanner.Llama3Pattern, Cl100kScanner.Qwen2Pattern, O200kScanner.Pattern];

    /// <summary>Texts of everything the expressions distinguish.</summary>
    private static readonly Arbitrary<string> Texts = Gen.Frequency(
        (6, Gen.Elements(
            " ", "  ", "\n", "\r\n", "\t", "\u00A0", "\u3000", "'", "'s", "'LL", "'\u017F", "a", "b", "Z", "É", "ǅ", "ʰ", "ª", "漢",
            "\u0301", "ि", "1", "٣", "½", "Ⅳ", "/", ".", "_", "😀",
            "\U00010400", "\U00010428", "\U0001D7D8", "\U000E0100", "\u200D", "\u0085")),
        (1, Gen.Choose(0, 0x2FFFF).Where(Rune.IsValid).Select(value => new Rune(value).ToString())))
        .ListOf().Select(parts => string.Concat(parts)).ToArbitrary();

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Scanner_and_expression_agree_on_any_text(string pattern)
    {
        var scanner = Scanner.For(pattern)!;
        var expression = new RegularExpression(pattern);
        Prop.ForAll(Texts, text =>
        {
            for (var start = 0; start < text.Length;)
            {
                Assert.True(expression.Find(text, start, out var found, out var end));
                Assert.Equal((start, end), (found, scanner.End(text, start)));
                start = end;
            }
        }).Holds(1500);
    }

    [Fact]
    public void Another_expression_has_no_scanner() => Assert.Null(Scanner.For(Gpt2Scanner.Pattern + "|x"));
}
