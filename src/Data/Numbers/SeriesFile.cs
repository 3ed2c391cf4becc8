using System.Globalization;
using nietras.SeparatedValues;
using ParquetSharp;
using Trainer.Configuration;

namespace Trainer.Data.Numbers;

/// <summary>A stretch of time: the values of each variable at each step.</summary>
internal sealed record SeriesTable(string Name, IReadOnlyList<string> Variables, float[][] Columns)
{
    public int Steps => Columns[0].Length;
}

/// <summary>Reads tables of numbers, a row for each step of time: CSV (RFC 4180; the header's separator) with Sep, or Parquet.</summary>
internal static class SeriesFile
{
    /// <exception cref="UserException">The table is damaged, ragged, or lacks a value; the message names line and column.</exception>
    public static SeriesTable Read(string path, IReadOnlyList<string> ignore)
    {
        try
        {
            var table = path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase) ? ReadParquet(path, ignore) : ReadText(path, ignore);
            return table.Steps > 0 ? table : throw new UserException($"{path}: it has a header, but no rows");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException
            or ParquetException)
        {
            throw new UserException($"{path}: it cannot be read as a table ({e.Message.TrimEnd('.')})", e);
        }
    }

    private static SeriesTable ReadText(string path, IReadOnlyList<string> ignore)
    {
        // Cells are counted here, so that the line is told.
        using var reader = Sep.Auto.Reader(options => options with { DisableColCountCheck = true, Unescape = true }).FromFile(path);
        var header = reader.HasHeader ? reader.Header.ColNames : [];
        var (places, names) = Variables(path, header, ignore);
        List<float>[] columns = [.. places.Select(_ => new List<float>())];
        var empty = 0;
        foreach (var row in reader)
        {
            if (row.Span.IsEmpty)
            {
                if (empty == 0)
                    empty = row.LineNumberFrom;
                continue;
            }
            if (empty > 0 && header.Count == 1)   // in a table of one column it may be a missing value
                throw Missing($"{path}, line {empty}, column \"{header[0]}\"");
            if (row.ColCount != header.Count)
                throw new UserException($"{path}, line {row.LineNumberFrom}: it has {row.ColCount} cells, and the header {header.Count}; "
                    + "give each row a cell for every column");
            for (var i = 0; i < places.Length; i++)
                columns[i].Add(Number(row[places[i]].Span, $"{path}, line {row.LineNumberFrom}, column \"{names[i]}\""));
        }
        return new(path, names, [.. columns.Select(column => column.ToArray())]);
    }

    private static float Number(ReadOnlySpan<char> cell, string place)
    {
        if (cell.IsWhiteSpace())
            throw Missing(place);
        return float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && float.IsFinite(number)
            ? number
            : throw new UserException($"{place}: \"{cell}\" is not a number; correct it, or name the column in data.series.ignore");
    }

    private static UserException Missing(string place) =>
        new($"{place}: the cell is empty; fill it in, such as with the value before, or take the rows up to there out");

    private static SeriesTable ReadParquet(string path, IReadOnlyList<string> ignore)
    {
        using var file = new ParquetFileReader(path);
        var schema = file.FileMetaData.Schema;
        string[] header = [.. Enumerable.Range(0, schema.NumColumns).Select(index => schema.Column(index).Path.ToDotString())];
        var (places, names) = Variables(path, header, ignore);
        List<float>[] columns = [.. places.Select(_ => new List<float>())];
        for (var group = 0; group < file.FileMetaData.NumRowGroups; group++)
        {
            using var rows = file.RowGroup(group);
            for (var i = 0; i < places.Length; i++)
                columns[i].AddRange(Numbers(rows, places[i], (int)rows.MetaData.NumRows, columns[i].Count, $"column \"{names[i]}\"", path));
        }
        return new(path, names, [.. columns.Select(column => column.ToArray())]);
    }

    private static IEnumerable<float> Numbers(
        RowGroupReader rows, int column, int count, int before, string name, string path)
    {
        using var reader = rows.Column(column);
        using var logical = reader.LogicalReader();
        var values = All<double>(logical, count) ?? All<float>(logical, count) ?? All<int>(logical, count) ?? All<long>(logical, count)
            ?? All<short>(logical, count) ?? All<sbyte>(logical, count) ?? All<byte>(logical, count) ?? All<ushort>(logical, count)
            ?? All<uint>(logical, count) ?? All<ulong>(logical, count)
            ?? throw new UserException($"{path}, {name}: it holds no numbers; name it in data.series.ignore");
        return [.. values.Select((value, row) => value is null
            ? throw Missing($"{path}, row {before + row + 1}, {name}")
            : Convert.ToSingle(value, CultureInfo.InvariantCulture) is var number && float.IsFinite(number)
                ? number
                : throw new UserException($"{path}, row {before + row + 1}, {name}: {number} is not a finite number; correct it"))];
    }

    /// <summary>Null where the column is of another type.</summary>
    private static IEnumerable<object?>? All<T>(LogicalColumnReader column, int count)
        where T : struct => column switch
        {
            LogicalColumnReader<T> numbers => numbers.ReadAll(count).Cast<object?>(),
            LogicalColumnReader<T?> numbers => numbers.ReadAll(count).Cast<object?>(),
            _ => null,
        };

    private static (int[] Places, string[] Names) Variables(string path, IReadOnlyList<string> header, IReadOnlyList<string> ignore)
    {
        if (header.Count == 0)
            throw new UserException($"{path}: it is empty; a table begins with the names of its columns");
        int[] places = [.. Enumerable.Range(0, header.Count).Where(index => !ignore.Contains(header[index], StringComparer.Ordinal))];
        return places.Length > 0
            ? (places, [.. places.Select(place => header[place])])
            : throw new UserException($"{path}: all its columns ({string.Join(", ", header)}) are ignored by data.series.ignore");
    }
}
