using FsCheck.Fluent;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tests.Tokenizers.Unicode;

public sealed class UnicodeNormalizationTests
{
    [Theory]   // NFC, NFD, NFKC, NFKD as the Unicode Standard's Annex 15 and its test file give them
    [InlineData("e\u0301", "\u00E9", "e\u0301", "\u00E9", "e\u0301")]
    [InlineData("\uAC01", "\uAC01", "\u1100\u1161\u11A8", "\uAC01", "\u1100\u1161\u11A8")]
    [InlineData("\u212B", "\u00C5", "A\u030A", "\u00C5", "A\u030A")]
    [InlineData("\uFB01\u00B2", "\uFB01\u00B2", "\uFB01\u00B2", "fi2", "fi2")]
    [InlineData("\u1E9B\u0323", "\u1E9B\u0323", "\u017F\u0323\u0307", "\u1E69", "s\u0323\u0307")]
    [InlineData("a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b", "a\u05AE\u0300\u0300\u0315b", "\u00E0\u05AE\u0300\u0315b",
        "a\u05AE\u0300\u0300\u0315b")]
    [InlineData("\u0958", "\u0915\u093C", "\u0915\u093C", "\u0915\u093C", "\u0915\u093C")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165", "\U0001D157\U0001D165", "\U0001D157\U0001D165", "\U0001D157\U0001D165")]
    [InlineData("\u1100\u1161\u11A7", "\uAC00\u11A7", "\u1100\u1161\u11A7", "\uAC00\u11A7", "\u1100\u1161\u11A7")]
    public void Forms_are_those_of_Unicode(string text, string nfc, string nfd, string nfkc, string nfkd)
    {
        Assert.Equal(nfc, UnicodeNormalization.Normalize(text, compatible: false, composed: true));
        Assert.Equal(nfd, UnicodeNormalization.Normalize(text, compatible: false, composed: false));
        Assert.Equal(nfkc, UnicodeNormalization.Normalize(text, compatible: true, composed: true));
        Assert.Equal(nfkd, UnicodeNormalization.Normalize(text, compatible: true, composed: false));
    }

    [Fact]
    public void A_form_of_a_form_is_itself() => Prop.ForAll(UnicodeText.Texts, text =>
    {
        foreach (var compatible in new[] { false, true })
        {
            var decomposed = UnicodeNormalization.Normalize(text, compatible, composed: false);
            var composed = UnicodeNormalization.Normalize(text, compatible, composed: true);
            Assert.Equal(decomposed, UnicodeNormalization.Normalize(composed, compatible, composed: false));
            Assert.Equal(composed, UnicodeNormalization.Normalize(decomposed, compatible, composed: true));
        }
    }).Holds(300);
}
