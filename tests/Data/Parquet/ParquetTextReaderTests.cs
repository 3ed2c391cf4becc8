using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Parquet;

/// <summary>What other writers wrote is read as they meant it.</summary>
public sealed class ParquetTextReaderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Written => [.. ParquetFixtures.Names.Where(name => name.Contains('-'))];

    public static TheoryData<string> Golden => [.. ParquetFixtures.Names.Where(name => !name.Contains('-'))];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Written))]
    public void Every_codec_encoding_and_page_version_of_four_writers(string name)
    {
        List<string?> expected = [.. ParquetFixtures.Values.Select(value => name.Contains("required") ? value ?? "" : value)];
        Assert.Equal(expected, ParquetFixtures.Read(ParquetFixtures.PathOf(name), "text"));
    }

    [Theory]
    [MemberData(nameof(Golden))]
    public void What_pyarrow_wrote_is_read(string name) =>
        Assert.Equal([.. ParquetFixtures.Expected(Path.ChangeExtension(name, ".expected.json"))],
            ParquetFixtures.Read(ParquetFixtures.PathOf(name), "text"));

    [Theory]
    [InlineData("rust-snappy-v1-dictionary.parquet", "meta.body", 5)]
    [InlineData("rust-zstd-v2-delta_byte_array.parquet", "meta.body", 5)]
    [InlineData("duckdb-zstd-v1.parquet", "pair.body", 0)]
    [InlineData("duckdb-lz4_raw-v2.parquet", "pair.body", 0)]
    [InlineData("parquetjs-gzip-v1.parquet", "group.body", 5)]
    [InlineData("parquetjs-brotli-v2.parquet", "group.body", 5)]
    public void A_column_inside_optional_groups_is_null_where_a_group_is(string name, string column, int everyNull) =>
        Assert.Equal(
            ParquetFixtures.Values.Select((value, row) => everyNull > 0 && row % everyNull == 0 ? null : value),
            ParquetFixtures.Read(ParquetFixtures.PathOf(name), column));

    [Fact]
    public void Rows_are_numbered_and_name_their_column()
    {
        var row = 0;
        foreach (var piece in RecordReader.Pieces(
            () => new Trainer.Data.Parquet.ParquetTextReader(ParquetFixtures.PathOf("duckdb-zstd-v1.parquet"), "text")))
        {
            Assert.Equal(++row, piece.Line);
            if (row == 8)
                Assert.EndsWith("duckdb-zstd-v1.parquet, row 8, column \"text\", character 4", piece.Place(3));
        }
        Assert.Equal(ParquetFixtures.Values.Length, row);
    }

    [Theory]
    [InlineData("txt", "there is no such column; the columns with text are text, meta.body")]
    [InlineData("id", "it holds values of type Int32, not text; the columns with text are text, meta.body")]
    [InlineData("tags", "it is a list, and a document is one text; the columns with text are text, meta.body")]
    [InlineData("meta", "it is a group of columns, such as meta.body; the columns with text are text, meta.body")]
    [InlineData("meta.score", "it holds values of type Double, not text; the columns with text are text, meta.body")]
    public void A_column_that_is_no_text_is_an_error_that_names_those_that_are(string column, string reason)
    {
        var path = ParquetFixtures.PathOf("rust-snappy-v1-dictionary.parquet");
        var message = Assert.Throws<UserException>(() => ParquetFixtures.Read(path, column)).Message;
        Assert.Equal(string.Join(", ", reason.Split("; ")[1].Split(" are ")[1].Split(", ").Order()),
            string.Join(", ", message.Split(" are ")[1].Split(", ").Order()));
        Assert.StartsWith($"{path}, column \"{column}\": {reason.Split(" are ")[0]} are ", message);
    }

    [Fact]
    public void A_file_that_is_something_else_says_so()
    {
        var path = folder.Write("a.parquet", "this is no Parquet file at all");
        Assert.Equal(
            $"{path} is damaged, column \"text\", at byte 0: the file does not begin and end with PAR1, as Parquet does; it is cut off, " +
                "or is something else; get or write the file again",
            Assert.Throws<UserException>(() => ParquetFixtures.Read(path, "text")).Message);
    }

    [Fact]
    public void A_file_that_is_cut_off_says_so()
    {
        var whole = File.ReadAllBytes(ParquetFixtures.PathOf("duckdb-zstd-v1.parquet"));
        var path = folder.Write("a.parquet", whole[..(whole.Length / 2)]);
        Assert.Matches("at byte \\d+: the file does not begin and end with PAR1, as Parquet does; it is cut off",
            Assert.Throws<UserException>(() => ParquetFixtures.Read(path, "text")).Message);
    }
}
