using ParquetSharp;
using Trainer.Configuration;

namespace Trainer.Reporting.Tests;

/// <summary>The figures of a report as Parquet files.</summary>
public sealed class RunTablesTests : IDisposable
{
    private readonly RunFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Tables_hold_the_figures_of_every_run()
    {
        var (a, b) = (folder.Run("a"),
            folder.Run("b", steps: 10,
            lines: [RunFolder.Step(10, "\"NaN\"", spikes: 3), RunFolder.Measure(10, "needle", "\"accuracy/depth/0.5\":0.75")]));
        File.WriteAllText(Path.Combine(b, "study.json"), "{\"name\":\"heads\",\"rows\":[{\"loss\":1.25,\"kept\":true},{\"loss\":null}]}");
        var tables = Path.Combine(folder.Root, "tables");
        RunReport.Write([a, b], Path.Combine(folder.Root, "report.html"), new Progress<string>(), tables);

        Assert.Equal([.. Enumerable.Repeat("a", 40), "b"], Column<string>("steps", "run"));
        Assert.Equal([.. Enumerable.Range(1, 40).Select(step => (long?)step), 10], Column<long?>("steps", "step"));
        Assert.Equal(1 + 4.0 / 3, Column<double?>("steps", "loss")[2]);
        Assert.Equal(["a", "b"], Column<string>("runs", "run"));
        Assert.Equal([1.35, null], Column<double?>("runs", "bestLoss"));
        Assert.Equal([Math.Exp(1.35), null], Column<double?>("runs", "perplexity"));
        Assert.Equal([0, 3], Column<long?>("runs", "spikeSteps"));
        Assert.Equal(["validation", "validation", "validation", "validation", "needle"], Column<string>("evaluations", "measure"));
        Assert.Equal("accuracy/depth/0.5", Column<string>("evaluations", "figure")[4]);
        Assert.Equal([1.65, 1.45, 1.25 + 4.0 / 30, 1.35, 0.75], Column<double?>("evaluations", "value"));
        Assert.Equal(["name", "rows.0.loss", "rows.0.kept", "rows.1.loss"], Column<string>("figures", "path"));
        Assert.Equal([null, 1.25, null, null], Column<double?>("figures", "number"));
        Assert.Equal(["heads", null!, "true", null!], Column<string>("figures", "text"));

        T[] Column<T>(string table, string name)
        {
            using var file = new ParquetFileReader(Path.Combine(tables, table + ".parquet"));
            using var group = file.RowGroup(0);
            var index = Enumerable.Range(0, file.FileMetaData.NumColumns).Single(
                column => file.FileMetaData.Schema.Column(column).Name == name);
            using var reader = group.Column(index).LogicalReader<T>();
            return reader.ReadAll((int)group.MetaData.NumRows);
        }
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_an_error()
    {
        File.WriteAllText(Path.Combine(folder.Root, "file"), "");
        var error = Assert.Throws<UserException>(() => RunReport.Write(
            [folder.Run("a")], Path.Combine(folder.Root, "report.html"), new Progress<string>(), Path.Combine(folder.Root, "file")));
        Assert.Contains("the folder of the tables cannot be made", error.Message, StringComparison.Ordinal);
    }
}
