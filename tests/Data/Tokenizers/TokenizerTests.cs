using System.Text;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class TokenizerTests
{
    [Fact]
    public void A_character_comes_out_whole_with_its_last_byte()
    {
        var decoder = ByteTokenizer.Instance.CreateDecoder();
        Assert.Equal(["a", "", "é", "", "", "", "😀"], ByteTokenizer.Instance.Encode("aé😀").Select(decoder.Push));
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void A_character_that_is_never_finished_becomes_a_replacement_at_the_end()
    {
        var decoder = ByteTokenizer.Instance.CreateDecoder();
        Assert.Equal("", decoder.Push(0xF0));
        Assert.Equal("", decoder.Push(0x9F));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("b", decoder.Push('b'));
    }

    [Theory]
    [InlineData(0, "aé😀")]
    [InlineData(1, "é😀")]
    [InlineData(2, "é😀")]
    [InlineData(3, "😀")]
    [InlineData(6, "😀")]
    [InlineData(7, "")]
    public void A_character_that_the_tokens_before_only_begin_comes_out_whole(int before, string rest)
    {
        var ids = ByteTokenizer.Instance.Encode("aé😀");
        var decoder = ByteTokenizer.Instance.CreateDecoder(ids[..before]);
        Assert.Equal(rest, string.Concat(ids[before..].Select(decoder.Push)) + decoder.Flush());
    }

    [Fact]
    public void The_parts_are_the_whole_for_any_bytes_and_never_half_a_character() =>
        Prop.ForAll<byte[]>(bytes =>
        {
            var decoder = ByteTokenizer.Instance.CreateDecoder();
            var ids = bytes.Select(value => (int)value).ToArray();
            var parts = ids.Select(decoder.Push).ToList();
            parts.Add(decoder.Flush());
            Assert.Equal(ByteTokenizer.Instance.Decode(ids), string.Concat(parts));
            Assert.All(parts, part => Assert.Equal(part, Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(part))));
        }).Holds();
}
