using ParquetSharp;
using Trainer.Configuration;
using Trainer.Data.Numbers;
using Trainer.Data.Parquet;

namespace Trainer.Data.Tests.Numbers;

public sealed class SeriesFileTests : IDisposable
{
    private static readonly string[] Ignored = ["date"];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("date,a,b\n2024-01-01,1,2.5\n2024-01-02,-3e2,4\n")]
    [InlineData("date;a;b\r\n2024-01-01;1;2.5\r\n2024-01-02;-3e2;4\r\n")]
    [InlineData("a,\"date\",b\n1,\"Monday, first\",2.5\n-300,x,4")]
    public void A_table_has_its_variables_in_order_without_those_ignored(string text)
    {
        var table = SeriesFile.Read(folder.Write("t.csv", text), Ignored);
        Assert.Equal(["a", "b"], table.Variables);
        Assert.Equal([1, -300], table.Columns[0]);
        Assert.Equal([2.5f, 4], table.Columns[1]);
    }

    [Theory]
    [InlineData("a,b\n1,2\n3\n", ", line 3: it has 1 cells, and the header 2")]
    [InlineData("a,b\n1,2,9\n", ", line 2: it has 3 cells, and the header 2")]
    [InlineData("a,b\n1,2\n3,\n", ", line 3, column \"b\": the cell is empty")]
    [InlineData("a,b\n1,2\n3,4\nx7,6\n", ", line 4, column \"a\": \"x7\" is not a number")]
    [InlineData("a\n1\n\"\"\n3\n", ", line 3, column \"a\": the cell is empty")]
    [InlineData("a\n1\n\n3\n", ", line 3, column \"a\": the cell is empty")]
    [InlineData("a,b\n1,NaN\n", ", line 2, column \"b\": \"NaN\" is not a number")]
    [InlineData("a,b\n", ": it has a header, but no rows")]
    [InlineData("", ": it is empty")]
    [InlineData("date\n1\n", ": all its columns (date) are ignored")]
    [InlineData("a,a\n1,2\n", ": it cannot be read as a table")]
    public void What_is_wrong_is_named_with_line_and_column(string text, string message)
    {
        var path = folder.Write("t.csv", text);
        var error = Assert.Throws<UserException>(() => SeriesFile.Read(path, Ignored));
        Assert.StartsWith(path + message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Empty_lines_at_the_end_are_no_values() =>
        Assert.Equal([1, 3], SeriesFile.Read(folder.Write("t.csv", "a\n1\n3\n\n\n"), Ignored).Columns[0]);

    [Fact]
    public void Parquet_is_read_as_CSV_is()
    {
        var path = folder["t.parquet"];
        ParquetTable.Write(
            path, [new("date", ParquetKind.Text), new("a", ParquetKind.Integer), new("b", ParquetKind.Number)],
            [["x", 1L, 2.5], ["y", -300L, 4.0]]);
        var table = SeriesFile.Read(path, Ignored);
        Assert.Equal(["a", "b"], table.Variables);
        Assert.Equal([1, -300], table.Columns[0]);
        Assert.Equal([2.5f, 4], table.Columns[1]);
    }

    [Fact]
    public void Integers_of_8_and_16_bits_are_numbers()
    {
        var path = folder["t.parquet"];
        using (var writer = new ParquetFileWriter(path, [new Column<short?>("a"), new Column<byte>("b")]))
        {
            using var group = writer.AppendRowGroup();
            group.NextColumn().LogicalWriter<short?>().WriteBatch([1, -300]);
            group.NextColumn().LogicalWriter<byte>().WriteBatch([2, 250]);
            writer.Close();
        }
        var table = SeriesFile.Read(path, Ignored);
        Assert.Equal([1, -300], table.Columns[0]);
        Assert.Equal([2, 250], table.Columns[1]);
    }

    [Fact]
    public void A_missing_value_of_Parquet_is_named_with_its_row()
    {
        var path = folder["t.parquet"];
        ParquetTable.Write(path, [new("a", ParquetKind.Number)], [[1.0], [null], [3.0]]);
        Assert.StartsWith($"{path}, row 2, column \"a\": the cell is empty",
            Assert.Throws<UserException>(() => SeriesFile.Read(path, Ignored)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_Parquet_is_an_error()
    {
        var path = folder.Write("t.parquet", "a,b\n1,2\n");
        Assert.StartsWith($"{path}: it cannot be read as a table",
            Assert.Throws<UserException>(() => SeriesFile.Read(path, Ignored)).Message, StringComparison.Ordinal);
    }
}
