using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;

namespace Trainer.Data.Tests;

public sealed class SplitPatternTests
{
    private const int LongS = 0x17F;

    /// <summary>Text full of what the expressions tell apart, in the Basic Multilingual Plane, where .NET's engine sees the same;
    /// but for the long s, which is an s to every engine except .NET's, and has a case of its own below.</summary>
    private static readonly Arbitrary<string> Texts = Gen.OneOf(
            Gen.Elements(" ", "  ", "\n", "\r\n", "\n\n", "\t", "'s", "'re", "'LL", "'", "it", "Été", "Ω", "中文", "1", "1234", "²", "٣", "!", "...", "-\n", "\u0301", "\u00A0", "\u0085", "\u3000", "\u001C", "_"),
            Gen.Choose(0x20, 0x3100).Where(value => value != LongS).Select(value => ((char)value).ToString()))
        .ListOf().Select(string.Concat).ToArbitrary();

    [Theory]
    [InlineData(SplitPattern.Gpt2)]
    [InlineData(SplitPattern.Cl100k)]
    public void Words_are_the_matches_of_the_expression(SplitPattern pattern)
    {
        var regex = new Regex(pattern.Expression(), RegexOptions.CultureInvariant);
        Prop.ForAll(Texts, text => Assert.Equal(regex.Matches(text).Select(match => match.Value), Words(pattern, text))).Holds(cases: 2000);
    }

    [Theory]
    [InlineData(SplitPattern.Gpt2, "a𠀀b 𝟙𝟚𝟛𝟜 😀!", new[] { "a𠀀b", " 𝟙𝟚𝟛𝟜", " 😀!" })]
    [InlineData(SplitPattern.Cl100k, "a𠀀b𝟙𝟚𝟛𝟜😀𠀀", new[] { "a𠀀b", "𝟙𝟚𝟛", "𝟜", "😀𠀀" })]
    [InlineData(SplitPattern.Cl100k, "we'ſ it'S", new[] { "we", "'ſ", " it", "'S" })]
    public void Characters_beyond_the_basic_plane_are_what_they_are(SplitPattern pattern, string text, string[] words) =>
        Assert.Equal(words, Words(pattern, text));

    [Fact]
    public void Words_put_together_are_the_text() =>
        Prop.ForAll(Unicode.Texts, text =>
        {
            Assert.Equal(text, string.Concat(Words(SplitPattern.Gpt2, text)));
            Assert.Equal(text, string.Concat(Words(SplitPattern.Cl100k, text)));
        }).Holds();

    private static IEnumerable<string> Words(SplitPattern pattern, string text)
    {
        var scanner = pattern.Scanner();
        for (var start = 0; start < text.Length;)
        {
            var end = scanner.End(text, start);
            yield return text[start..end];
            start = end;
        }
    }
}
