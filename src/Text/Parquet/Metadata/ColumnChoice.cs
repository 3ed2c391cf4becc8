namespace Trainer.Text.Parquet;

/// <summary>Finds the column that the user named, and says what can be named instead.</summary>
internal static class ColumnChoice
{
    /// <summary>The index of the leaf of this path.</summary>
    /// <exception cref="ParquetError">There is none, or it does not hold one text a row.</exception>
    public static int Find(IReadOnlyList<SchemaLeaf> leaves, string column)
    {
        for (var index = 0; index < leaves.Count; index++)
            if (leaves[index].Path == column)
                return leaves[index].IsText ? index : throw ParquetError.NotRead($"{Reason(leaves[index])}; {Choice(leaves)}");
        if (leaves.FirstOrDefault(leaf => leaf.Path.StartsWith(column + ".", StringComparison.Ordinal)) is { } inner)
            throw ParquetError.NotRead(inner.MaxRepetition > 0
                ? $"it is a list, and a document is one text; {Choice(leaves)}"
                : $"it is a group of columns, such as {inner.Path}; {Choice(leaves)}");
        throw ParquetError.NotRead($"there is no such column; {Choice(leaves)}");
    }

    private static string Reason(SchemaLeaf leaf) => leaf switch
    {
        { MaxRepetition: > 0 } => "it lies in a list, and a document is one text",
        { Type: PhysicalType.ByteArray } => "its bytes are not text",
        { Type: PhysicalType.FixedLengthByteArray } => "its values are bytes of a fixed length, not text",
        _ => $"it holds values of type {leaf.Type}, not text",
    };

    private static string Choice(IReadOnlyList<SchemaLeaf> leaves)
    {
        string[] texts = [.. leaves.Where(leaf => leaf.IsText).Select(leaf => leaf.Path).Take(20)];
        return texts.Length > 0 ? $"the columns with text are {string.Join(", ", texts)}" : "the file has no column with text";
    }
}
