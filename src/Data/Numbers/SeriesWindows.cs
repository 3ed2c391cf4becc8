using Trainer.Configuration;
using Trainer.Data.Batches;

namespace Trainer.Data.Numbers;

/// <summary>A table of time series as a model reads it: standardised by the means and deviations of its training data.</summary>
public sealed class SeriesWindows
{
    private readonly SeriesShape shape;
    private readonly float[][] columns;   // by variable, standardised
    private readonly SeriesPreprocessor preprocessor;

    private SeriesWindows(SeriesShape shape, SeriesPreprocessor preprocessor, float[][] columns) =>
        (this.shape, this.preprocessor, this.columns) = (shape, preprocessor, columns);

    /// <summary>Reads a CSV or Parquet file.</summary>
    /// <exception cref="UserException">It is damaged, has other variables than the model's, or fewer rows than the model reads.</exception>
    public static SeriesWindows Read(string path, SeriesShape shape, SeriesPreprocessor preprocessor)
    {
        if (!File.Exists(path))
            throw new UserException($"there is no file \"{path}\" (looked for {Path.GetFullPath(path)}); name a table as CSV or Parquet");
        var table = SeriesFile.Read(path, preprocessor.Ignore);
        if (!table.Variables.SequenceEqual(preprocessor.Variables))
            throw new UserException($"{path} has the variables {string.Join(", ", table.Variables)}, and the model knows "
                + $"{string.Join(", ", preprocessor.Variables)}, in this order");
        if (table.Steps < shape.Length)
            throw new UserException($"{path} has {table.Steps} rows, and the model reads {shape.Length} at once; give more");
        return new(shape, preprocessor, [.. table.Columns.Select((column, variable) => column.Select(
            value => (float)((value - preprocessor.Mean[variable]) / preprocessor.Deviation[variable])).ToArray())]);
    }

    /// <summary>Rows of the table.</summary>
    public int Steps => columns[0].Length;

    /// <summary>Every window of every variable that has enough values behind it; empty where the table is too short.</summary>
    public ValidationSet Windows(int batchRows)
    {
        var starts = Math.Max(0, Steps - shape.Length - shape.Horizon + 1);
        return new ValidationSet(starts * columns.Length, batchRows, (first, end) => Read(
            [.. Enumerable.Range(first, end - first).Select(row => (Column: row % columns.Length, Start: row / columns.Length))],
            shape.Horizon));
    }

    /// <summary>The last window of each variable, whose forecast is of what follows the table.</summary>
    public Batch Last() => Read([.. Enumerable.Range(0, columns.Length).Select(column => (column, Steps - shape.Length))], horizon: 0);

    /// <summary>A value of a variable in its own unit.</summary>
    public double InOwnUnit(int variable, double value) => value * preprocessor.Deviation[variable] + preprocessor.Mean[variable];

    private Batch Read((int Column, int Start)[] rows, int horizon) => new([], [], rows.Length, horizon)
    {
        Variables = [.. rows.Select(row => (long)row.Column)],
        Values = [.. rows.SelectMany(row => columns[row.Column].AsSpan(row.Start, shape.Length).ToArray())],
        TargetValues = [.. rows.SelectMany(row => columns[row.Column].AsSpan(row.Start + shape.Length, horizon).ToArray())],
    };
}
