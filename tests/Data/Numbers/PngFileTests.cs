using Trainer.Configuration;
using Trainer.Data.Numbers;
using Trainer.Tests;

namespace Trainer.Data.Tests.Numbers;

public sealed class PngFileTests : IDisposable
{
    private static readonly byte[] Sound = Png.Encode(4, 2, Png.Grey, 8, [0, 10, 20, 30, 40, 50, 60, 70]);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Grey_is_read_as_it_was_written() =>
        Assert.Equal([0, 10, 20, 30, 40, 50, 60, 70], PngFile.Decode(Sound).ToChannels(new(2, 4, 1), resize: false, ""));

    [Fact]
    public void Colours_come_by_channel() => Assert.Equal(
        [1, 4, 2, 5, 3, 6], PngFile.Decode(Png.Encode(2, 1, Png.Colours, 8, [1, 2, 3, 4, 5, 6])).ToChannels(new(1, 2, 3), false, ""));

    [Fact]
    public void Colours_become_grey_by_their_luma() => Assert.Equal(
        [76, 150, 29],
        PngFile.Decode(Png.Encode(3, 1, Png.Colours, 8, [255, 0, 0, 0, 255, 0, 0, 0, 255])).ToChannels(new(1, 3, 1), resize: false, ""));

    [Fact]
    public void Transparent_parts_are_black() => Assert.Equal(
        [100, 0, 50],
        PngFile.Decode(Png.Encode(3, 1, Png.GreyWithOpacity, 8, [100, 255, 100, 0, 100, 128])).ToChannels(new(1, 3, 1), resize: false, ""));

    [Fact]
    public void A_palette_is_looked_up() => Assert.Equal(
        [7, 1, 8, 2, 9, 3],
        PngFile.Decode(Png.Encode(2, 1, Png.Palette, 8, [1, 0], [1, 2, 3, 7, 8, 9])).ToChannels(new(1, 2, 3), false, ""));

    [Fact]
    public void Of_16_bits_the_upper_8_are_kept() => Assert.Equal(
        [0x12, 0xAB], PngFile.Decode(Png.Encode(2, 1, Png.Grey, 16, [0x12, 0x34, 0xAB, 0xCD])).ToChannels(new(1, 2, 1), false, ""));

    [Fact]
    public void One_bit_is_black_and_white() => Assert.Equal(
        [255, 0, 255, 0, 0, 0, 0, 255],
        PngFile.Decode(Png.Encode(8, 1, Png.Grey, 1, [0b1010_0001])).ToChannels(new(1, 8, 1), false, ""));

    [Fact]
    public void Resizing_takes_the_mean_of_what_a_pixel_covers() =>
        Assert.Equal([25, 45], PngFile.Decode(Sound).ToChannels(new(1, 2, 1), resize: true, ""));

    [Fact]
    public void Another_size_is_refused_with_both_and_the_fix()
    {
        var error = Assert.Throws<UserException>(() => PngFile.Decode(Sound).ToChannels(new(28, 28, 1), resize: false, "cat.png"));
        Assert.Equal("cat.png: the picture is 4 × 2 pixels, and the model reads 28 × 28; set data.images.resize to true to have pictures "
            + "resized, or model.input.width and height to its size", error.Message);
    }

    [Fact]
    public void Any_changed_byte_is_an_error_and_never_another_picture()
    {
        var path = folder["a.png"];
        for (var at = 0; at < Sound.Length; at++)
        {
            byte[] changed = [.. Sound];
            changed[at] ^= 0x10;
            File.WriteAllBytes(path, changed);
            Assert.StartsWith($"{path}: ", Assert.Throws<UserException>(() => PngFile.Read(path)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Cut_anywhere_it_is_an_error()
    {
        for (var length = 0; length < Sound.Length; length++)
            Assert.Throws<InvalidDataException>(() => PngFile.Decode(Sound[..length]));
    }

    [Fact]
    public void A_wrong_checksum_is_told_with_both()
    {
        byte[] changed = [.. Sound];
        changed[^1] ^= 1;
        Assert.Contains("the chunk IEND at byte", Assert.Throws<InvalidDataException>(() => PngFile.Decode(changed)).Message);
        Assert.Contains("has the checksum AE426082, and its own says AE426083",
            Assert.Throws<InvalidDataException>(() => PngFile.Decode(changed)).Message);
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, 0xD8, 0xFF, 0xE0 }, "it is not a PNG file but a JPEG")]
    [InlineData(new byte[] { }, "it is not a PNG file but empty")]
    [InlineData(new byte[] { 1, 2, 3 }, "it is not a PNG file; convert it")]
    public void What_is_no_PNG_is_told(byte[] file, string message) =>
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => PngFile.Decode(file)).Message);

    [Fact]
    public void Pixels_that_are_too_few_are_an_error() =>
        Assert.Throws<InvalidDataException>(() => PngFile.Decode(Png.Encode(40, 2, Png.Grey, 8, [0, 10, 20, 30, 40, 50, 60, 70])));
}
