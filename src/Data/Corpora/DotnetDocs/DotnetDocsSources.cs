using System.Text.Json;

namespace Trainer.Data;

/// <summary>The file <c>sources.json</c>: what the corpus dotnet-docs was taken from. It is the same on every machine with the same SDK.</summary>
/// <param name="Builder">Counts up whenever the same files would give another text.</param>
/// <param name="Text">What came out.</param>
/// <param name="Files">What was read, in order; the paths, relative to the .NET root, hold pack, version and framework.</param>
internal sealed record DotnetDocsSources(int Builder, DotnetDocsText Text, IReadOnlyList<DotnetDocsFile> Files)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true, NewLine = "\n" };

    public void Save(string path) => File.WriteAllBytes(path, [.. JsonSerializer.SerializeToUtf8Bytes(this, Format), (byte)'\n']);

    /// <summary>Reads the file; null when it is absent or not understood, in which case the corpus is built again.</summary>
    public static DotnetDocsSources? TryLoad(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<DotnetDocsSources>(File.ReadAllBytes(path), Format) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>The text of the corpus.</summary>
/// <param name="Bytes">The size of text.txt; all characters are ASCII.</param>
/// <param name="Sha256">Its hash.</param>
/// <param name="Types">Types that are described.</param>
/// <param name="Entries">Types and members that are described.</param>
/// <param name="Sentences">Distinct sentences.</param>
internal sealed record DotnetDocsText(long Bytes, string Sha256, int Types, int Entries, int Sentences);

/// <summary>A documentation file that was read.</summary>
/// <param name="Path">Its path relative to the .NET root.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">The hash of its content.</param>
/// <param name="Members">Members that it documents and no file before it does.</param>
/// <param name="Sentences">Sentences that were taken from it.</param>
internal sealed record DotnetDocsFile(string Path, long Bytes, string Sha256, int Members, int Sentences);
