using System.IO.Compression;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Parquet;

/// <summary>Pages that the other writers do not write: checksums, old framings, and what lies about its size.</summary>
public sealed class ParquetPagesTests : IDisposable
{
    // Linux counts the pages of a process in each of its threads, and the peak may seem to shrink.
    private const int Roughly = 1 << 20;

    private const int Snappy = 1, Gzip = 2, Lzo = 3, Brotli = 4, Lz4 = 5, Zstd = 6, Lz4Raw = 7;
    private static readonly byte[] Hello = ParquetPages.Plain("hello", "world");
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_right_checksum_is_accepted_and_a_wrong_one_is_damage()
    {
        Assert.Equal(["hello", "world"], Read(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, crc: ParquetPages.Crc(Hello)))));
        Assert.Equal(
            $"{folder["a.parquet"]} is damaged, column \"text\", at row 1 or after it: could not verify page integrity, CRC checksum " +
                "verification failed for page_ordinal 0; get or write the file again",
            Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, crc: 42))));
    }

    [Fact]
    public void Deprecated_bit_packed_levels_are_refused() =>
        Assert.Equal(
            $"{folder["a.parquet"]}, column \"text\": its nulls are encoded as BIT_PACKED, which is deprecated and not read; write the " +
                "file again with another writer",
            Fails(ParquetPages.File(4, 0, true, 4, [ParquetPages.Page([0b0110_0000, .. Hello], 4, levels: 4)])));

    [Fact]
    public void Lz4_comes_as_hadoop_framing_and_blocks()
    {
        byte[] block = [(byte)(15 << 4), (byte)(Hello.Length - 15), .. Hello];   // all literals
        byte[] hadoop = [.. ParquetPages.BigEndian(Hello.Length), .. ParquetPages.BigEndian(block.Length), .. block];
        foreach (var content in new[] { hadoop, block })
            Assert.Equal(["hello", "world"], Read(ParquetPages.File(2, Lz4, false, ParquetPages.Page(content, 2, Hello.Length))));
        Assert.Equal(["hello", "world"], Read(ParquetPages.File(2, Lz4Raw, false, ParquetPages.Page(block, 2, Hello.Length))));
    }

    /// <summary>The format has frames for no codec, and Arrow has not read them since LZ4_RAW came.</summary>
    [Fact]
    public void Lz4_frames_are_damage()
    {
        byte[] block = [(byte)(15 << 4), (byte)(Hello.Length - 15), .. Hello];
        byte[] frame = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, .. BitConverter.GetBytes(block.Length), .. block, 0, 0, 0, 0];
        Assert.Contains("Corrupt Lz4 compressed data", Fails(ParquetPages.File(2, Lz4, false, ParquetPages.Page(frame, 2, Hello.Length))));
    }

    [Fact]
    public void A_match_that_overlaps_itself_repeats()
    {
        byte[] page = ParquetPages.Plain(new string('a', 100));
        byte[] block = [(5 << 4) | 15, .. page[..5], 1, 0, 99 - 5 - 4 - 15, 5 << 4, .. page[^5..]];   // a block ends with five literals
        Assert.Equal([new string('a', 100)], Read(ParquetPages.File(1, Lz4Raw, false, ParquetPages.Page(block, 1, page.Length))));
    }

    [Theory]
    [InlineData(Snappy)]
    [InlineData(Gzip)]
    [InlineData(Brotli)]
    [InlineData(Lz4)]
    [InlineData(Zstd)]
    [InlineData(Lz4Raw)]
    public void A_page_that_lies_about_its_size_is_damage_and_costs_no_memory(int codec)
    {
        var bytes = ParquetPages.File(2, codec, false, ParquetPages.Page(Compress(codec, Hello), 2, size: 900_000_000));
        var (before, managed) = (Environment.WorkingSet, GC.GetAllocatedBytesForCurrentThread());
        var message = Fails(bytes);
        Assert.Contains("is damaged, column \"text\", at row 1 or after it: ", message);
        Assert.Contains(codec == Zstd
            ? "Corrupt ZSTD compressed data" : "Page didn't decompress to expected size, expected: 900000000, but got:18", message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - managed, 0, 8 << 20);
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 500 << 20);   // tests beside this one take some, too
    }

    [Fact]
    public void A_page_that_is_said_to_be_longer_than_the_file_costs_no_memory()
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        var before = process.PeakWorkingSet64;
        Assert.Contains("Page was smaller (18) than expected (2147483647)",
            Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, stored: int.MaxValue))));
        process.Refresh();
        Assert.InRange(process.PeakWorkingSet64 - before, -Roughly, 500 << 20);
    }

    [Theory]
    [InlineData(Gzip, "GZipCodec failed")]
    [InlineData(Brotli, "Corrupt brotli compressed data")]
    [InlineData(Zstd, "Destination buffer is too small")]
    public void A_bomb_that_declares_little_is_cut_short(int codec, string reason)
    {
        var bomb = Compress(codec, new byte[50_000_000]);
        var bytes = ParquetPages.File(2, codec, false, ParquetPages.Page(bomb, 2, size: 1000));
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains(reason, Fails(bytes));
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
        Assert.Equal([null, null, null],
            Read(ParquetPages.File(3, codec, true, ParquetPages.Page(content, 3, levels.Length), ParquetPages.Page([], 0, 0))));
    }

    [Theory]
    [InlineData(3, "row group 0 has 3 rows, and its column 2")]
    [InlineData(1, "row group 0 has 1 rows, and its column at least 2")]
    public void Counts_that_differ_are_damage(int rows, string reason) =>
        Assert.Contains(reason, Fails(ParquetPages.File(rows, 0, false, ParquetPages.Page(Hello, 2))));

    [Theory]
    [InlineData(8, "Dictionary page must be before data page")]
    [InlineData(9, "BYTE_STREAM_SPLIT only supports")]
    [InlineData(77, "Unknown encoding type")]
    public void An_encoding_that_cannot_be_is_damage(int encoding, string reason) =>
        Assert.Contains(reason, Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(Hello, 2, encoding: encoding))));

    [Fact]
    public void Lzo_is_not_read() =>
        Assert.Equal(
            $"{folder["a.parquet"]}, column \"text\": it is compressed with LZO, which is not read; write it with another codec, such " +
                "as zstd",
            Fails(ParquetPages.File(2, Lzo, false, ParquetPages.Page(Hello, 2))));

    [Theory]
    [InlineData(8)]
    [InlineData(55)]
    [InlineData(-1)]
    public void An_unknown_codec_is_named_by_its_number(int codec) =>
        Assert.Equal(
            $"{folder["a.parquet"]}, column \"text\", row group 0: it is compressed with codec {codec}, which is not known here; write " +
                "it with another codec, such as zstd",
            Fails(ParquetPages.File(2, codec, false, ParquetPages.Page(Hello, 2))));

    /// <summary>Such a chunk is read through a buffer, and Arrow would set aside and touch what the header says.</summary>
    [Theory]
    [InlineData(int.MaxValue, "2,147,483,647")]
    [InlineData(200_000_000, "200,000,000")]
    [InlineData(-5, "-5")]
    public void A_page_of_a_large_chunk_that_claims_more_than_there_is_costs_no_memory(int stored, string told)
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        var before = process.PeakWorkingSet64;
        var large = ParquetPages.Page(ParquetPages.Plain(new string('x', 20_000_000)), 1);
        var message = Fails(ParquetPages.File(3, 0, false, large, ParquetPages.Page(Hello, 2, stored: stored)));
        Assert.StartsWith(
            $"{folder["a.parquet"]} is damaged, column \"text\", at row 1 or after it: row group 0: page 1 at byte {4 + large.Length} " +
                $"says that it has {told} bytes, ", message);
        process.Refresh();
        Assert.InRange(process.PeakWorkingSet64 - before, -Roughly, 500 << 20);
    }

    [Fact]
    public void A_large_chunk_of_several_pages_is_read()
    {
        string[] texts = ["first", new('x', 20_000_000), "漢字", new('y', 3_000_000)];
        byte[][] pages = [ParquetPages.Page(ParquetPages.Plain(texts[..2]), 2), ParquetPages.Page(ParquetPages.Plain(texts[2..]), 2)];
        Assert.Equal(texts, Read(ParquetPages.File(4, 0, false, pages)));
    }

    [Fact]
    public void An_index_outside_of_the_dictionary_is_damage()
    {
        byte[][] pages = [ParquetPages.Page(Hello, 2, isDictionary: true), ParquetPages.Page([8, 2 << 1, 5], 2, encoding: 8)];
        Assert.Contains("Unexpected end of stream", Fails(ParquetPages.File(2, 0, false, pages)));
    }

    [Fact]
    public void A_text_that_is_not_utf8_is_named_by_its_row()
    {
        byte[] page = [.. ParquetPages.Plain("hello"), 3, 0, 0, 0, (byte)'a', 0xE9, (byte)'b'];
        Assert.Equal(
            $"{folder["a.parquet"]}, row 2: column \"text\" is not valid UTF-8: byte 0xE9 at position 1 of the text begins no whole " +
                "character; write the file again as UTF-8",
            Fails(ParquetPages.File(2, 0, false, ParquetPages.Page(page, 2))));
    }

    [Fact]
    public void A_long_text_comes_in_pieces_that_end_with_lines_or_characters()
    {
        var text = string.Concat(Enumerable.Repeat("漢", 600_000)) + "\n" + string.Concat(Enumerable.Repeat("line of text\n", 200_000))
            + "end";
        var path = folder.Write("a.parquet", ParquetPages.File(1, 0, false, ParquetPages.Page(ParquetPages.Plain(text), 1)));
        var (whole, pieces) = ("", 0);
        foreach (var piece in RecordReader.Pieces(() => new Trainer.Data.Parquet.ParquetTextReader(path, "text")))
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
            return [(byte)content.Length, (byte)((content.Length - 1) << 2), .. content];   // a literal of up to 60 bytes
        if (codec is Lz4 or Lz4Raw)
            return [(byte)(15 << 4), (byte)(content.Length - 15), .. content];
        using var output = new MemoryStream();
        using (Stream stream = codec switch
        {
            Gzip => new GZipStream(output, CompressionLevel.Fastest),
            Zstd => new ZstdSharp.CompressionStream(output),
            _ => new BrotliStream(output, CompressionLevel.Fastest),
        })
            stream.Write(content);
        return output.ToArray();
    }

    private List<string?> Read(byte[] file) => ParquetFixtures.Read(folder.Write("a.parquet", file), "text");

    private string Fails(byte[] file) => Assert.Throws<UserException>(() => Read(file)).Message;
}
