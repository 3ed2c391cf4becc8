using ParquetSharp;
using Trainer.Configuration;

namespace Trainer.Data.Parquet;

internal static class ParquetColumns
{
    /// <summary>The index of a leaf and the definition level of a text; throws where the column is missing or not one text a row.</summary>
    public static (int Index, int MaxDefinition) Find(SchemaDescriptor schema, string file, string column)
    {
        Leaf[] leaves = [.. Enumerable.Range(0, schema.NumColumns).Select(schema.Column).Select(leaf => new Leaf(leaf))];
        var index = Array.FindIndex(leaves, leaf => leaf.Path == column);
        if (index >= 0 && leaves[index].IsText)
            return (index, leaves[index].MaxDefinition);
        var reason = index >= 0 ? Reason(leaves[index])
            : leaves.FirstOrDefault(leaf => leaf.Path.StartsWith(column + ".", StringComparison.Ordinal)) is not { } inner
                ? "there is no such column"
            : inner.IsRepeated ? "it is a list, and a document is one text"
            : $"it is a group of columns, such as {inner.Path}";
        string[] texts = [.. leaves.Where(leaf => leaf.IsText).Select(leaf => leaf.Path).Take(20)];
        throw new UserException(
            $"{file}, column \"{column}\": {reason}; " +
                $"{(texts.Length > 0 ? $"the columns with text are {string.Join(", ", texts)}" : "the file has no column with text")}");
    }

    private static string Reason(Leaf leaf) => leaf switch
    {
        { IsRepeated: true } => "it lies in a list, and a document is one text",
        { Type: PhysicalType.ByteArray } => "its bytes are not text",
        { Type: PhysicalType.FixedLenByteArray } => "its values are bytes of a fixed length, not text",
        _ => $"it holds values of type {leaf.Type}, not text",
    };

    private sealed class Leaf(ColumnDescriptor column)
    {
        public string Path { get; } = column.Path.ToDotString();

        public PhysicalType Type { get; } = column.PhysicalType;

        public int MaxDefinition { get; } = column.MaxDefinitionLevel;

        public bool IsRepeated { get; } = column.MaxRepetitionLevel > 0;

        /// <summary>Whether each row holds one text or none. Unannotated bytes must be UTF-8: older writers store text so.</summary>
        public bool IsText { get; } = column is { PhysicalType: PhysicalType.ByteArray, MaxRepetitionLevel: 0 }
            && Meaning(column) is LogicalTypeEnum.String or LogicalTypeEnum.Enum or LogicalTypeEnum.Json or LogicalTypeEnum.None;

        /// <summary>ParquetSharp throws at types that it has no name for.</summary>
        private static LogicalTypeEnum Meaning(ColumnDescriptor column)
        {
            try
            {
                return column.LogicalType.Type;
            }
            catch (ArgumentOutOfRangeException)
            {
                return LogicalTypeEnum.Undefined;
            }
        }
    }
}
