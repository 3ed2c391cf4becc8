namespace Trainer.Data.Tests;

public sealed class ProseTests
{
    [Theory]
    [InlineData("Gets the count. The default is 0.", "Gets the count.|The default is 0.")]
    [InlineData("Use one, e.g. Trim (see above). Is it so? Yes (it certainly is.) No.", "Use one, e.g. Trim (see above).|Is it so?|Yes (it certainly is.)")]
    [InlineData("uint8x8_t vadd_u8 (uint8x8_t a, uint8x8_t b)", "")]
    [InlineData("__m128i _mm_abs_epi8 (__m128i a)", "")]
    [InlineData("INSR Ztied1.B, Bop2.", "")]
    [InlineData("Required. The value は unknown. if (x) { return; }", "")]
    [InlineData("An unfinished thought", "")]
    public void Only_sentences_of_english_are_taken(string paragraph, string sentences) =>
        Assert.Equal(sentences, string.Join('|', Prose.Sentences(paragraph)));

    [Fact]
    public void Sentences_are_the_same_whatever_their_capitals_and_punctuation() =>
        Assert.Equal(Prose.Key("The value, in bytes."), Prose.Key("the value (in bytes)!"));
}
