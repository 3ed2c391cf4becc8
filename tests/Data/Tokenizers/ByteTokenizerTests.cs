using System.Text;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class ByteTokenizerTests
{
    private static readonly ByteTokenizer Tokenizer = ByteTokenizer.Instance;

    [Fact]
    public void Any_bytes_survive() =>
        Prop.ForAll<byte[]>(bytes => Tokenizer.DecodeBytes(Tokenizer.Encode((ReadOnlySpan<byte>)bytes)).AsSpan().SequenceEqual(bytes))
            .Holds();

    [Fact]
    public void Any_text_becomes_the_bytes_of_its_utf8_and_back() =>
        Prop.ForAll(UnicodeText.Texts, text =>
        {
            var ids = Tokenizer.Encode(text);
            Assert.Equal(Encoding.UTF8.GetBytes(text).Select(value => (int)value), ids);
            Assert.Equal(text, Tokenizer.Decode(ids));
        }).Holds();

    [Fact]
    public void Characters_across_the_inner_buffer_stay_whole()
    {
        for (var shift = 0; shift < 4; shift++)
        {
            var text = new string('a', 1022 + shift) + "😀é漢";
            Assert.Equal(text, Tokenizer.Decode(Tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void A_lone_surrogate_is_an_error_with_its_place()
    {
        var error = Assert.Throws<EncodingException>(() => Tokenizer.Encode(new string('x', 2000) + "\ud800y"));
        Assert.Equal(2000, error.Position);
        Assert.Equal("the text holds U+D800, half of a surrogate pair and no character of its own; remove it or replace it by U+FFFD (at "
            + "position 2000)", error.Message);
    }

    [Fact]
    public void An_unknown_id_is_refused() =>
        Assert.Contains("0 to 255", Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.Decode([256])).Message);
}
