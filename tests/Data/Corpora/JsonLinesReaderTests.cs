using System.Text.Json;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tests.Parquet;

namespace Trainer.Data.Tests.Corpora;

public sealed class JsonLinesReaderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Any_text_comes_back_escaped_or_not() =>
        Prop.ForAll(UnicodeText.Texts, UnicodeText.Texts, (text, other) =>
        {
            var lines = new[]
            {
                JsonSerializer.Serialize(new { id = 1, text, after = other }),
                JsonSerializer.Serialize(new { before = new { text = other }, text },
                    new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }),
            };
            Assert.Equal([text, text], Read(string.Join('\n', lines)));
        }).Holds();

    [Theory]
    [InlineData("{\"text\":\"a\"}\n{\"text\":\"b\"}", new[] { "a", "b" })]
    [InlineData("\uFEFF{\"text\":\"a\"}\r\n\r\n  \n{\"text\":\"b\"}\r\n", new[] { "a", "b" })]
    [InlineData("{\"text\":null}\n{}\n{\"text\":\"\"}\n", new[] { null, null, "" })]
    [InlineData("{\"text\":\"a\",\"text\":\"b\"}\n", new[] { "b" })]
    [InlineData("{\"x\":[{\"text\":\"no\"}],\"text\":\"\\ud83d\\ude00\"}\n", new[] { "😀" })]
    public void Lines_are_records(string content, string?[] texts) => Assert.Equal([.. texts], Read(content));

    [Theory]
    [InlineData("meta.body", "{\"meta\":{\"x\":1,\"body\":\"a\"},\"body\":\"no\"}\n{\"meta\":null}\n{\"meta\":[1]}\n{\"meta\":{}}",
        new[] { "a", null, null, null })]
    [InlineData("a.b", "{\"a.b\":\"whole name\"}", new[] { "whole name" })]
    [InlineData("a.b.c", "{\"a\":{\"b.c\":\"x\"}}\n{\"a\":{\"b\":{\"c\":\"y\"}}}", new[] { "x", "y" })]
    public void Nested_fields_are_named_with_dots(string column, string content, string?[] texts) =>
        Assert.Equal([.. texts], Read(content, column));

    [Theory]
    [InlineData("{\"text\":\"a\"}\n{\"text\":", ", line 2 (at byte 21) is not valid JSON: ")]
    [InlineData("{\"text\":\"a\"} x", ", line 1 (at byte 13) is not valid JSON: 'x' is invalid after a single JSON value. Expected end of "
        + "data; each line must be one whole JSON object")]
    [InlineData("{\"text\":\n\"a\"}", ", line 1 (at byte 8) is not valid JSON: ")]
    [InlineData("[{\"text\":\"a\"}]",
        ", line 1 (at byte 0) is an array, not an object; JSON lines have one object a line; turn one array into lines: jq -c '.[]' ")]
    [InlineData("\"a\"", ", line 1 (at byte 0) is a string, not an object; JSON lines have one object a line")]
    [InlineData("{\"text\":\"a\"}\n{\"text\":7}",
        ", line 2 (at byte 21): field \"text\" is a number, not a string; name a field with text in column")]
    [InlineData("{\"text\":\"\\ud800\"}", ", line 1 (at byte 8): field \"text\" is not valid Unicode: ")]
    [InlineData("{\"body\":\"a\",\"id\":1}\n{}",
        " has no field \"text\" in any of its 2 records; its first record has body, id; name one in column")]
    public void What_is_wrong_is_named_with_line_and_byte(string content, string message) =>
        Assert.StartsWith(folder["a.jsonl"] + message, Assert.Throws<UserException>(() => Read(content)).Message);

    [Fact]
    public void A_name_that_is_wrong_is_noticed_early()
    {
        var content = string.Concat(Enumerable.Repeat("{\"body\":\"a\"}\n", 5000));
        Assert.Contains("has no field \"text\" in its first 1000 records; its first record has body",
            Assert.Throws<UserException>(() => Read(content)).Message);
    }

    [Fact]
    public void A_line_that_never_ends_does_not_fill_the_memory()
    {
        using var stream = SourceStream.Open(folder.Write("a.jsonl", new string('x', 5000)));
        var lines = new LineBuffer(stream, "a.jsonl", longest: 1000);
        Assert.Equal("a.jsonl, line 1 (at byte 0) has no end within 1000 bytes; each record ends with a line break",
            Assert.Throws<UserException>(() => lines.Next()).Message);
    }

    [Fact]
    public void Lines_longer_than_the_buffer_come_whole()
    {
        string[] texts = [.. Enumerable.Range(0, 30).Select(number => new string((char)('a' + number % 26), 50_000 * (number % 7)))];
        Assert.Equal([.. texts], Read(string.Concat(texts.Select(text => JsonSerializer.Serialize(new { text }) + "\n"))));
    }

    [Fact]
    public void Compressed_records_are_read() =>
        Assert.Equal(["first", null, "zstd"],
            ParquetFixtures.Documents(RecordReader.Pieces(() => new JsonLinesReader(Path.Combine(AppContext.BaseDirectory, "Fixtures",
            "records.jsonl.zst"), "text"))));

    [Fact]
    public void Mutated_lines_are_errors_or_texts()
    {
        var whole = "{\"id\":1,\"text\":\"a\\u00e9\\n\",\"meta\":{\"a\":[1,2,{}]}}\n{\"text\":null}\r\n\n{\"x\":1e5,\"text\":\"漢字😀\"}\n"u8.ToArray();
        var path = folder["mutated.jsonl"];
        for (var seed = 0; seed < Mutations.Count(5000); seed++)
        {
            File.WriteAllBytes(path, Mutations.Mutate(whole, whole, new Random(seed)));
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                foreach (var piece in RecordReader.Pieces(() => new JsonLinesReader(path, seed % 2 == 0 ? "text" : "meta.a")))
                    Assert.InRange(piece.Text.Length, 0, whole.Length);
            }
            catch (UserException e)
            {
                Assert.Contains(path, e.Message);
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
        }
    }

    private List<string?> Read(string content, string column = "text") =>
        ParquetFixtures.Documents(RecordReader.Pieces(() => new JsonLinesReader(folder.Write("a.jsonl", content), column)));
}
