using System.IO.Compression;
using FsCheck.Fluent;
using Trainer.Configuration;

namespace Trainer.Text.Tests.Parquet;

/// <summary>Pages that the other writers do not write: checksums, old framings, and what lies about its size.</summary>
public sealed class ParquetPagesTests : IDisposable
{
    private const int Gzip = 2, Brotli = 4, Lz4 = 5, Lz4Raw = 7, Snappy = 1;
    private static readonly byte[] Hello = ParquetPages.Plain("hello", "world");
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_right_checksum_is_accepted_and_a_wrong_one_is_damage()
    {
        Assert.Equal(["hello", "world"], Read(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, crc: ParquetPages.Crc(Hello)))));
        Assert.Equal(
            $"{folder["a.parquet"]} is damaged, column \"text\", at byte 4: a page has the checksum {ParquetPages.Crc(Hello):x8} instead of 0000002a; get or write the file again",
            Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, crc: 42))));
    }

    [Fact]
    public void Deprecated_bit_packed_levels_fill_bytes_from_the_top() =>
        Assert.Equal([null, "hello", "world", null], Read(ParquetPages.File(4, 0, true, ParquetPages.Page([0b0110_0000, .. Hello], 4, levels: 4))));

    [Fact]
    public void Lz4_comes_as_hadoop_framing_blocks_and_frames()
    {
        byte[] block = [(byte)(15 << 4), (byte)(Hello.Length - 15), .. Hello];   // all literals
        byte[] hadoop = [.. ParquetPages.BigEndian(Hello.Length), .. ParquetPages.BigEndian(block.Length), .. block];
        byte[] frame = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, .. BitConverter.GetBytes(block.Length), .. block, 0, 0, 0, 0];
        byte[] stored = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, .. BitConverter.GetBytes(Hello.Length | 1 << 31), .. Hello, 0, 0, 0, 0];
        foreach (var content in new[] { hadoop, block, frame, stored })
            Assert.Equal(["hello", "world"], Read(ParquetPages.File(2, Lz4, false, ParquetPages.Page(content, 2, Hello.Length))));
        Assert.Equal(["hello", "world"], Read(ParquetPages.File(2, Lz4Raw, false, ParquetPages.Page(block, 2, Hello.Length))));
    }

    [Fact]
    public void Snappy_blocks_of_another_writer_come_back() =>
        Prop.ForAll(Gen.Choose(0, 200_000).ToArbitrary(), Gen.Choose(1, 300).ToArbitrary(), (length, kinds) =>
        {
            var random = new Random(length);
            var content = new byte[length];
            for (var at = 0; at < length;)
            {
                var run = Math.Min(length - at, 1 + random.Next(100));
                if (at > 0 && random.Next(2) == 0)
                    for (var from = random.Next(at); run > 0; run--)
                        content[at++] = content[from++];
                else
                    for (; run > 0; run--)
                        content[at++] = (byte)random.Next(Math.Min(kinds, 256));
            }
            var output = new byte[length];
            Text.Parquet.Snappy.Decode(IronSnappy.Snappy.Encode(content), output);
            Assert.Equal(content, output);
        }).Holds();

    [Theory]
    [InlineData(new byte[] { 4, 3 << 2, 1, 2, 3, 4 }, true)]
    [InlineData(new byte[] { 4, 240, 3, 1, 2, 3, 4 }, true)]                  // a length in a byte of its own
    [InlineData(new byte[] { 4, 252, 3, 0, 0, 0, 1, 2, 3, 4 }, true)]         // in four
    [InlineData(new byte[] { 5, 0, 1, 1, 1 }, true)]                          // a copy that overlaps itself
    [InlineData(new byte[] { 4, 0, 1, (2 << 2) | 3, 1, 0, 0, 0 }, true)]      // a distance in four bytes
    [InlineData(new byte[] { 4, 252, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4 }, false)]
    [InlineData(new byte[] { 4, 0, 1, (2 << 2) | 3, 0xFF, 0xFF, 0xFF, 0xFF }, false)]
    [InlineData(new byte[] { 4, 0, 1, (2 << 2) | 2, 2, 0 }, false)]           // from before the beginning
    [InlineData(new byte[] { 4, 0, 1, (2 << 2) | 2, 0, 0 }, false)]
    [InlineData(new byte[] { 4, 0, 1, (9 << 2) | 2, 1, 0 }, false)]           // past the end
    [InlineData(new byte[] { 4, 2 << 2, 1, 2, 3 }, false)]
    [InlineData(new byte[] { 5, 3 << 2, 1, 2, 3, 4 }, false)]
    [InlineData(new byte[] { 0x84, 0x80, 0x80, 0x80, 0x80, 0x00 }, false)]
    public void Snappy_elements(byte[] block, bool isWhole)
    {
        var error = Record.Exception(() => Text.Parquet.Snappy.Decode(block, new byte[isWhole ? block[0] : 4]));
        Assert.Equal(isWhole, error is null);
        Assert.True(error is null or InvalidDataException, $"{error}");
    }

    [Fact]
    public void A_match_that_overlaps_itself_repeats()
    {
        byte[] page = ParquetPages.Plain(new string('a', 100));
        byte[] block = [(5 << 4) | 15, .. page[..5], 1, 0, 99 - 4 - 15, 0];
        Assert.Equal([new string('a', 100)], Read(ParquetPages.File(1, Lz4Raw, false, ParquetPages.Page(block, 1, page.Length))));
    }

    [Theory]
    [InlineData(Snappy)]
    [InlineData(Gzip)]
    [InlineData(Brotli)]
    [InlineData(Lz4)]
    [InlineData(Lz4Raw)]
    public void A_page_that_lies_about_its_size_is_damage_and_costs_no_memory(int codec)
    {
        var bytes = ParquetPages.File(2, codec, false, ParquetPages.Page(Compress(codec, Hello), 2, size: 900_000_000));
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("at byte 4: a page cannot be decompressed", Fails(bytes));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
    }

    [Theory]
    [InlineData(Gzip)]
    [InlineData(Brotli)]
    public void A_bomb_that_declares_little_is_cut_short(int codec)
    {
        var bomb = Compress(codec, new byte[50_000_000]);
        var bytes = ParquetPages.File(2, codec, false, ParquetPages.Page(bomb, 2, size: 1000));
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("it holds more than the 1000 bytes that it declares", Fails(bytes));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
    }

    [Fact]
    public void A_file_without_rows_has_no_documents() =>
        Assert.Empty(Read(ParquetPages.File(0, 0, false)));

    [Theory]
    [InlineData(0)]
    [InlineData(Snappy)]
    [InlineData(Gzip)]
    public void Pages_may_be_all_null(int codec)
    {
        byte[] levels = [2, 0, 0, 0, 3 << 1, 0];   // a run of three zeros, behind its length
        var content = codec == 0 ? levels : Compress(codec, levels);
        Assert.Equal([null, null, null], Read(ParquetPages.File(3, codec, true, ParquetPages.Page(content, 3, levels.Length, encoding: 8), ParquetPages.Page([], 0, 0))));
    }

    [Theory]
    [InlineData(3, "a page header ends inside a value, with 1 values missing")]
    [InlineData(1, "a page has 2 values, its column chunk only 1 more")]
    public void Counts_that_differ_are_damage(int rows, string reason) =>
        Assert.Contains(reason, Fails(ParquetPages.File(rows, 0, false, ParquetPages.Page(Hello, 2))));

    [Theory]
    [InlineData(8, "a page needs a dictionary, and no dictionary page comes before it")]
    [InlineData(9, "values are encoded as ByteStreamSplit, which is not an encoding of strings")]
    [InlineData(77, "values are encoded as 77, which is not an encoding of strings")]
    public void An_encoding_that_cannot_be_is_damage(int encoding, string reason) =>
        Assert.Contains(reason, Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, encoding: encoding))));

    [Fact]
    public void An_index_outside_of_the_dictionary_is_damage()
    {
        byte[][] pages = [ParquetPages.Page(Hello, 2, isDictionary: true), ParquetPages.Page([8, 2 << 1, 5], 2, encoding: 8)];
        Assert.Contains("a value is entry 5 of a dictionary that has 2", Fails(ParquetPages.File(2, 0, false, pages)));
    }

    [Fact]
    public void A_text_that_is_not_utf8_is_named_by_its_row()
    {
        byte[] page = [.. ParquetPages.Plain("hello"), 3, 0, 0, 0, (byte)'a', 0xE9, (byte)'b'];
        Assert.Equal(
            $"{folder["a.parquet"]}, row 2: column \"text\" is not valid UTF-8: byte 0xE9 at position 1 of the text begins no whole character; write the file again as UTF-8",
            Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(page, 2))));
    }

    [Fact]
    public void A_long_text_comes_in_pieces_that_end_with_lines_or_characters()
    {
        var text = string.Concat(Enumerable.Repeat("漢", 600_000)) + "\n" + string.Concat(Enumerable.Repeat("line of text\n", 200_000)) + "end";
        var path = folder.Write("a.parquet", ParquetPages.File(1, 0, false, ParquetPages.Page(ParquetPages.Plain(text), 1)));
        var (whole, pieces) = ("", 0);
        foreach (var piece in RecordReader.Pieces(() => new Text.Parquet.ParquetTextReader(path, "text")))
        {
            Assert.Equal(pieces++ == 0, piece.StartsDocument);
            Assert.Equal(whole.Length, piece.Record!.Value.Characters);
            whole += piece.Text.ToString();
        }
        Assert.Equal(text, whole);
        Assert.InRange(pieces, 3, 10);
    }

    private static byte[] Compress(int codec, byte[] content)
    {
        if (codec == Snappy)
            return IronSnappy.Snappy.Encode(content);
        if (codec is Lz4 or Lz4Raw)
            return [(byte)(15 << 4), (byte)(content.Length - 15), .. content];
        using var output = new MemoryStream();
        using (Stream stream = codec == Gzip ? new GZipStream(output, CompressionLevel.Fastest) : new BrotliStream(output, CompressionLevel.Fastest))
            stream.Write(content);
        return output.ToArray();
    }

    private List<string?> Read(byte[] file) => ParquetFixtures.Read(folder.Write("a.parquet", file), "text");

    private string Fails(byte[] file) => Assert.Throws<UserException>(() => Read(file)).Message;
}
