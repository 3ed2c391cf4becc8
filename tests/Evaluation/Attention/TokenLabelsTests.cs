using System.Text;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Attention;

namespace Trainer.Evaluation.Tests.Attention;

public sealed class TokenLabelsTests
{
    [Theory]
    [InlineData(" the", "␣the")]
    [InlineData("\r\n\t}", "␍⏎⇥}")]
    [InlineData("déjà ☃ 🙂", "déjà␣☃␣🙂")]
    [InlineData("\0\u00a0\u200b\u2028", "\\u{0}\\u{A0}\\u{200B}\\u{2028}")]
    [InlineData("", "∅")]
    public void Signs_without_a_shape_are_shown(string text, string label) =>
        Assert.Equal(label, TokenLabels.Of(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Parts_of_characters_are_bytes()
    {
        Assert.Equal("a\\xE2\\x98", TokenLabels.Of([0x61, 0xE2, 0x98]));
        Assert.Equal("\\x83b", TokenLabels.Of([0x83, 0x62]));
        Assert.Equal(["\\xC3", "\\xA9", "␣"], TokenLabels.Of(ByteTokenizer.Instance, ByteTokenizer.Instance.Encode("é ")));
    }
}
