using System.Text.Json;

namespace Trainer.Data;

/// <summary>The file <c>prepared.json</c>: from what a folder of prepared data was made, and what came out.</summary>
/// <param name="Fingerprint">SHA-256 of tokenizer, sources and split.</param>
/// <param name="Identity">The configuration it was made for, as <see cref="DataPreparation"/> writes it.</param>
/// <param name="TokenizerHash">SHA-256 of <c>tokenizer.json</c> beside it.</param>
/// <param name="Sources">The files that were read.</param>
/// <param name="TrainSources">The tokens of each source of <c>data.train</c> in the training split, in order.</param>
/// <param name="Train">The training split.</param>
/// <param name="Validation">The validation split.</param>
public sealed record PreparedRecord(
    string Fingerprint, string Identity, string TokenizerHash, IReadOnlyList<SourceStamp> Sources,
    IReadOnlyList<TokenRange> TrainSources, SplitStatistics Train, SplitStatistics Validation)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    internal void Save(string path) => WholeFile.Write(path, stream => JsonSerializer.Serialize(stream, this, Format));

    /// <summary>Reads the file; null when it is absent or cannot be understood, in which case the data is prepared again.</summary>
    internal static PreparedRecord? TryLoad(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<PreparedRecord>(File.ReadAllBytes(path), Format) : null;
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            return null;
        }
    }
}
