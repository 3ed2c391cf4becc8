using System.IO.Compression;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class SourceStreamTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Frames_that_follow_each_other_are_one_text() =>
        Assert.Equal("Zstandard frames,\none after the other.\n", Text(TokenizerFixture("two-frames.txt.zst")));

    [Fact]
    public void Members_that_follow_each_other_are_one_text() =>
        Assert.Equal("first second", Text(folder.Write("a.txt.gz", [.. Gzip("first "), .. Gzip("second")])));

    [Theory]
    [InlineData(".gz")]
    [InlineData(".zst")]
    public void A_large_file_passes_through(string extension)
    {
        var text = string.Concat(Enumerable.Range(0, 300_000).Select(number => $"line {number}\n"));
        Assert.Equal(text, Text(folder.Write("a.txt" + extension, extension == ".gz" ? Gzip(text) : Zstd(text))));
    }

    [Fact]
    public void A_frame_is_checked_against_its_checksum()
    {
        var whole = Zstd("text under a checksum");
        whole[^1] ^= 1;
        Assert.Contains("checksum", Assert.Throws<UserException>(() => Text(folder.Write("a.txt.zst", whole))).Message);
    }

    [Theory]
    [InlineData(".gz")]
    [InlineData(".zst")]
    public void A_file_that_ends_too_soon_is_damaged_at_every_place(string extension)
    {
        var whole = extension == ".gz" ? Gzip("some text to be cut off") : File.ReadAllBytes(TokenizerFixture("records.jsonl.zst"));
        for (var length = 1; length < whole.Length; length++)
            Assert.StartsWith($"{folder["cut.txt" + extension]} is damaged at or before byte {length}, or is not a {extension} file: ",
                Assert.Throws<UserException>(() => Text(folder.Write("cut.txt" + extension, whole[..length]))).Message);
    }

    [Theory]
    [InlineData(".gz")]
    [InlineData(".zst")]
    public void A_file_that_is_not_compressed_says_so(string extension) =>
        Assert.Contains($"or is not a {extension} file",
            Assert.Throws<UserException>(() => Text(folder.Write("a.txt" + extension, "plain text"))).Message);

    [Theory]
    [InlineData(".gz")]
    [InlineData(".zst")]
    public void Mutated_streams_are_errors_or_text(string extension)
    {
        var whole = extension == ".gz"
            ? Gzip(string.Concat(Enumerable.Repeat("some text ", 100)))
            : File.ReadAllBytes(TokenizerFixture("two-frames.txt.zst"));
        for (var seed = 0; seed < Mutations.Count(3000); seed++)
        {
            var path = folder.Write("mutated.txt" + extension, Mutations.Mutate(whole, whole, new Random(seed)));
            try
            {
                using var stream = SourceStream.Open(path);
                var buffer = new byte[1 << 16];
                for (var (total, read) = (0L, 1); read > 0; total += read)
                {
                    read = stream.Read(buffer);
                    Assert.InRange(total, 0, 1 << 20);
                }
            }
            catch (UserException e)
            {
                Assert.Contains(path, e.Message);
            }
        }
    }

    private static string TokenizerFixture(string name) => Path.Combine(AppContext.BaseDirectory, "Fixtures", name);

    private static string Text(string path) => string.Concat(Utf8Text.Read(path).Select(piece => piece.Text.ToString()));

    private static byte[] Zstd(string text)
    {
        using var output = new MemoryStream();
        using (var stream = new ZstdSharp.CompressionStream(output, leaveOpen: true))
        {
            stream.SetParameter(ZstdSharp.Unsafe.ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
            stream.Write(Encoding.UTF8.GetBytes(text));
        }
        return output.ToArray();
    }

    private static byte[] Gzip(string text)
    {
        using var output = new MemoryStream();
        using (var stream = new GZipStream(output, CompressionLevel.Fastest))
            stream.Write(Encoding.UTF8.GetBytes(text));
        return output.ToArray();
    }
}
