using System.Text;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class Utf8TextTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Pieces_of_any_size_are_the_whole_text_with_lines_counted() =>
        Prop.ForAll(UnicodeText.Texts, Gen.Choose(8, 64).ToArbitrary(), (text, pieceBytes) =>
        {
            var path = folder.Write("text.txt", "\uFEFF" + text);
            var (whole, first) = (new StringBuilder(), true);
            foreach (var piece in Utf8Text.Read(path, pieceBytes))
            {
                Assert.Equal(first, piece.StartsDocument);
                Assert.Equal(1 + whole.ToString().Count(c => c == '\n'), piece.Line);
                whole.Append(piece.Text.Span);
                first = false;
            }
            Assert.Equal(text, whole.ToString());
        }).Holds();

    [Fact]
    public void Line_ends_stay_as_they_are() =>
        Assert.Equal("a\r\nb\n\r", Read("a\r\nb\n\r"u8.ToArray()));

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(100)]
    [InlineData(2_000_000)]
    public void A_byte_that_is_not_utf8_is_an_error_with_its_offset(int offset)
    {
        byte[] bytes = [.. Enumerable.Repeat((byte)'a', offset), 0xE9, (byte)'b'];
        var error = Assert.Throws<UserException>(() => Read(bytes));
        Assert.Equal(
            $"{folder["text.txt"]} is not valid UTF-8: byte 0xE9 at offset {offset} begins no whole character; "
            + $"convert it (for Latin-1: iconv -f LATIN1 -t UTF-8 \"{folder["text.txt"]}\" > converted.txt)", error.Message);
    }

    [Fact]
    public void A_character_cut_off_at_the_end_is_an_error() =>
        Assert.Contains("byte 0xE6 at offset 1", Assert.Throws<UserException>(() => Read([(byte)'a', 0xE6, 0xBC])).Message);

    [Fact]
    public void Utf16_is_recognised() =>
        Assert.Contains("is UTF-16, not UTF-8; convert it",
            Assert.Throws<UserException>(() => Read([.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes("hello")])).Message);

    private string Read(byte[] bytes) =>
        string.Concat(Utf8Text.Read(folder.Write("text.txt", bytes)).Select(piece => piece.Text.ToString()));
}
