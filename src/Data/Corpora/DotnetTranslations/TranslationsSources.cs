using System.Text.Json;

namespace Trainer.Data;

/// <summary>The file <c>sources.json</c>: what the corpus dotnet-translations was taken from. It is the same on every machine with the same SDK.</summary>
/// <param name="Builder">Counts up whenever the same files would give other texts.</param>
/// <param name="Texts">What came out.</param>
/// <param name="Files">What was read, in order; the paths are relative to the .NET root.</param>
internal sealed record TranslationsSources(int Builder, IReadOnlyList<TranslationsText> Texts, IReadOnlyList<TranslationsFile> Files)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true, NewLine = "\n", RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    };

    public void Save(string path) => File.WriteAllBytes(path, [.. JsonSerializer.SerializeToUtf8Bytes(this, Format), (byte)'\n']);

    /// <summary>Reads the file; null when it is absent or not understood, in which case the corpus is built again.</summary>
    public static TranslationsSources? TryLoad(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<TranslationsSources>(File.ReadAllBytes(path), Format) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>The pairs of one language and split.</summary>
/// <param name="Path">The name of the file: <c>de.train.jsonl</c>.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Its hash.</param>
/// <param name="Pairs">The pairs in it.</param>
/// <param name="SourceWords">Their English words, as far as white space tells.</param>
/// <param name="TargetWords">Their words in the other language; Chinese and Japanese put no space between words.</param>
internal sealed record TranslationsText(string Path, long Bytes, string Sha256, int Pairs, int SourceWords, int TargetWords);

/// <summary>A satellite assembly that was read.</summary>
/// <param name="Neutral">The assembly with the English texts, relative to the .NET root.</param>
/// <param name="Path">Its own path.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Its hash.</param>
/// <param name="Strings">The texts it holds.</param>
/// <param name="Pairs">Those that are translations; some are the same as in other assemblies.</param>
internal sealed record TranslationsFile(string Neutral, string Path, long Bytes, string Sha256, int Strings, int Pairs);
