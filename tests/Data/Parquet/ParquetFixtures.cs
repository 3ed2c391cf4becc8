using System.Text.Json;
using Trainer.Data.Corpora;
using Trainer.Data.Parquet;

namespace Trainer.Data.Tests.Parquet;

/// <summary>Files that four writers made of the same values (generate.mjs), and three that pyarrow made.</summary>
internal static class ParquetFixtures
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Parquet", "Fixtures");

    public static string?[] Values { get; } = Expected("values.json");

    public static IReadOnlyList<string> Names { get; } =
        [.. Directory.GetFiles(Folder, "*.parquet").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    public static string PathOf(string name) => Path.Combine(Folder, name);

    public static string?[] Expected(string name) => JsonSerializer.Deserialize<string?[]>(File.ReadAllBytes(PathOf(name)))!;

    public static List<string?> Read(string path, string column) =>
        Documents(RecordReader.Pieces(() => new ParquetTextReader(path, column)));

    /// <summary>Whole documents of their pieces.</summary>
    public static List<string?> Documents(IEnumerable<TextPiece> pieces)
    {
        var documents = new List<string?>();
        foreach (var piece in pieces)
            if (piece.IsNull)
                documents.Add(null);
            else if (piece.StartsDocument)
                documents.Add(piece.Text.ToString());
            else
                documents[^1] += piece.Text.ToString();
        return documents;
    }
}
