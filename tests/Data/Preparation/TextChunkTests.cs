using FsCheck;
using FsCheck.Fluent;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

public sealed class TextChunkTests
{
    private static readonly Arbitrary<string> Texts = Gen.Frequency(
            (6, Gen.Elements("word", "Été", "x", "😀", "12", ",", "'s")), (3, Gen.Constant(" ")),
            (2, Gen.Elements("\n", "\n\n", " \n", "\r\n", "  ")))
        .ListOf().Select(string.Concat).Where(text => text.Length > 2).ToArbitrary();

    [Fact]
    public void The_parts_have_the_words_of_the_whole() =>
        Prop.ForAll(Texts, text =>
        {
            var cut = TextCut.Find(text);
            Assert.InRange(cut, 1, text.Length - 1);
            Assert.False(char.IsLowSurrogate(text[cut]));
            if (!IsHarmless(text, cut))
                return;
            foreach (var pattern in new[] { SplitPattern.Gpt2, SplitPattern.Cl100k })
                Assert.Equal(Words(pattern, text), Words(pattern, text[..cut]).Concat(Words(pattern, text[cut..])));
        }).Holds(cases: 1000);

    [Theory]
    [InlineData("one\ntwo\nthree four", 8)]
    [InlineData("one\n\ntwo three.", 8)]
    [InlineData("1\n\n22", 3)]
    [InlineData("12345", 4)]
    [InlineData("12😀", 2)]
    public void It_is_at_the_last_place_of_the_best_kind(string text, int cut) => Assert.Equal(cut, TextCut.Find(text));

    private static bool IsHarmless(string text, int cut) =>
        (text[cut - 1] == '\n' && cut > 1 && !char.IsWhiteSpace(text[cut - 2]) && !char.IsWhiteSpace(text[cut]))
        || (text[cut] == ' ' && cut + 1 < text.Length && char.IsLetter(text[cut - 1]) && char.IsLetter(text[cut + 1]));

    private static string[] Words(SplitPattern pattern, string text)
    {
        var scanner = pattern.Scanner();
        var words = new List<string>();
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = scanner.End(text, start);
            words.Add(text[start..end]);
        }
        return [.. words];
    }
}
