using ParquetSharp;
using Trainer.Configuration;
using Trainer.Data.Parquet;

namespace Trainer.Data.Tests.Parquet;

/// <summary>What is written here, Arrow's reader reads.</summary>
public sealed class ParquetTableTests : IDisposable
{
    private static readonly ParquetColumn[] Columns =
        [new("text", ParquetKind.Text), new("count", ParquetKind.Integer), new("loss", ParquetKind.Number)];
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Values_of_every_kind_and_missing_ones_come_back()
    {
        object?[][] rows =
        [
            ["a", 1L, 0.5], [null, null, null], ["", long.MaxValue, double.PositiveInfinity], ["漢字 😀\n\"", long.MinValue, double.NaN],
            ["end", 0L, -0.0],
        ];
        Assert.Equal(5, ParquetTable.Write(folder["a.parquet"], Columns, rows));
        using var file = new ParquetFileReader(folder["a.parquet"]);
        Assert.Equal(1, file.FileMetaData.NumRowGroups);
        Assert.Equal(rows.Select(row => row[0]), All<string?>(file, 0));
        Assert.Equal(rows.Select(row => row[1]), All<long?>(file, 1).Cast<object?>());
        Assert.Equal(rows.Select(row => row[2]), All<double?>(file, 2).Cast<object?>());
        using var group = file.RowGroup(0);
        using var chunk = group.MetaData.GetColumnChunkMetaData(0);
        Assert.Equal(Compression.Zstd, chunk.Compression);
    }

    [Fact]
    public void Row_groups_are_of_bounded_size()
    {
        var rows = Enumerable.Range(0, 300_000).Select(row => new object?[] { row % 7 == 0 ? null : $"row {row}", (long)row, row / 3.0 });
        ParquetTable.Write(folder["a.parquet"], Columns, rows);
        using var file = new ParquetFileReader(folder["a.parquet"]);
        Assert.Equal([131_072L, 131_072L, 37_856L], Groups(file));
        Assert.Equal(Enumerable.Range(0, 300_000).Select(row => (long?)row), All<long?>(file, 1));

        ParquetTable.Write(folder["b.parquet"], Columns, Enumerable.Range(0, 5)
            .Select(row => new object?[] { new string('x', 7_000_000), (long)row, null }));
        using var texts = new ParquetFileReader(folder["b.parquet"]);
        Assert.Equal([3L, 2L], Groups(texts));   // 16,777,216 bytes at the most before one more
    }

    /// <summary>Of strings Parquet.Net would write the least and the greatest: 10 MB each, twice, where Arrow reads no header beyond 16
    /// MiB; and in the order of UTF-16, by which a reader that looks for the second of these finds nothing.</summary>
    [Fact]
    public void Texts_have_no_statistics_and_may_be_long()
    {
        string[] texts = [new string('漢', 3_500_000), "😀", "Ａ"];
        ParquetTable.Write(folder["a.parquet"], Columns, texts.Select(text => new object?[] { text, 1L, 1.0 }));
        Assert.InRange(new FileInfo(folder["a.parquet"]).Length, 1, 10_000);
        Assert.Equal(texts, ParquetFixtures.Read(folder["a.parquet"], "text"));
        using var file = new ParquetFileReader(folder["a.parquet"]);
        using var group = file.RowGroup(0);
        using var chunk = group.MetaData.GetColumnChunkMetaData(0);
        Assert.False(chunk.Statistics?.HasMinMax ?? false);
        Assert.Equal(LogicalTypeEnum.String, file.FileMetaData.Schema.Column(0).LogicalType.Type);
    }

    [Fact]
    public void A_table_without_rows_is_a_file()
    {
        Assert.Equal(0, ParquetTable.Write(folder["a.parquet"], Columns, []));
        Assert.Empty(ParquetFixtures.Read(folder["a.parquet"], "text"));
    }

    [Fact]
    public void What_fails_leaves_the_earlier_file()
    {
        ParquetTable.Write(folder["a.parquet"], Columns, [["before", 1L, null]]);
        IEnumerable<object?[]> Failing()
        {
            yield return ["after", 2L, null];
            throw new UserException("no more");
        }
        Assert.Equal("no more", Assert.Throws<UserException>(() => ParquetTable.Write(folder["a.parquet"], Columns, Failing())).Message);
        Assert.Equal(["before"], ParquetFixtures.Read(folder["a.parquet"], "text"));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(folder["a.parquet"])!));
        Assert.Contains("cannot be written",
            Assert.Throws<UserException>(() => ParquetTable.Write(folder["none/a.parquet"], Columns, [])).Message);
    }

    private static IEnumerable<long> Groups(ParquetFileReader file)
    {
        for (var i = 0; i < file.FileMetaData.NumRowGroups; i++)
        {
            using var group = file.RowGroup(i);
            yield return group.MetaData.NumRows;
        }
    }

    private static IEnumerable<T> All<T>(ParquetFileReader file, int column)
    {
        for (var i = 0; i < file.FileMetaData.NumRowGroups; i++)
        {
            using var group = file.RowGroup(i);
            using var reader = group.Column(column).LogicalReader<T>();
            foreach (var value in reader.ReadAll((int)group.MetaData.NumRows))
                yield return value;
        }
    }
}
