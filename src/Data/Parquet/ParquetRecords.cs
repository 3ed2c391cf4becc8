using System.Text.Json.Nodes;
using ParquetSharp;
using Trainer.Configuration;

namespace Trainer.Data.Parquet;

/// <summary>Reads whole rows of a Parquet file, lists and groups within them (Melnik et al. 2010, "Dremel"), as JSON. Texts, numbers and
/// truth values are read; columns of other types are left out. One row group is in memory at a time.</summary>
internal static class ParquetRecords
{
    /// <summary>The rows; of the columns that <paramref name="wanted"/> chooses among all, named such as
    /// <c>messages.list.element.role</c>.</summary>
    /// <exception cref="UserException">The file cannot be read, or is damaged.</exception>
    public static IEnumerable<JsonObject> Read(
        string path, Func<IReadOnlyList<string>, IReadOnlyCollection<string>>? wanted = null)
    {
        using var guard = new ParquetGuard(path);
        using var file = guard.Read(() => new ParquetFileReader(path));
        var leaves = guard.Read(() => ParquetLeaf.All(file.FileMetaData.Schema));
        var names = wanted?.Invoke([.. leaves.Select(leaf => leaf.Path)]);
        var first = 0L;
        for (var group = 0; group < file.FileMetaData.NumRowGroups; group++)
        {
            var rows = guard.Read(() => Group(file, group, [.. leaves.Where(leaf => names?.Contains(leaf.Path) ?? leaf.IsKnown)], guard,
                first));
            foreach (var row in rows)
                yield return row;
            first += rows.Length;
        }
    }

    private static JsonObject[] Group(
        ParquetFileReader file, int number, IReadOnlyList<ParquetLeaf> leaves, ParquetGuard guard, long first)
    {
        using var group = file.RowGroup(number);
        // The footer may lie about rows; what holds them may not.
        var rows = new List<JsonObject>();
        foreach (var (index, leaf) in leaves.Index())
        {
            guard.Check(leaf, number);
            using var column = group.Column(leaf.Index);
            var count = leaf.Fill(rows, isFirst: index == 0, column,
                reason => guard.Damaged(leaf, $"at row {first + 1} or after it: {reason}"));
            if (count != group.MetaData.NumRows)
                throw guard.Damaged(leaf, $"row group {number} has {group.MetaData.NumRows} rows, and its column {count}");
        }
        return [.. rows];
    }
}
