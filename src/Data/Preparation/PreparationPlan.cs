using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Trainer.Data;

/// <summary>What is to be prepared: the opened sources, and the names that follow from the configuration.</summary>
internal sealed record PreparationPlan(
    IReadOnlyList<Corpus> Train, IReadOnlyList<Corpus>? Validation, double ValidationFraction, TokenizerOptions Tokenizer, string? EndOfDocument)
{
    /// <summary>Counts up whenever the same configuration and files would give other tokens.</summary>
    private const int Version = 4;

    public static PreparationPlan Open(DataOptions data, TokenizerOptions tokenizer, string directory, IProgress<string>? progress)
    {
        IReadOnlyList<Corpus> OpenAll(IReadOnlyList<SourceOptions> sources, string at) =>
            [.. sources.Select((source, index) => Corpus.Open(source, $"{at}.{index}", directory, progress, data.IsPaired))];
        return new PreparationPlan(
            OpenAll(data.Train, "data.train"),
            data.Validation is null ? null : OpenAll(data.Validation, "data.validation"),
            data.ValidationFraction,
            tokenizer,
            data.IsPaired ? EndOfText.None : data.EndOfDocument);   // texts of pairs end where rows are made of them
    }

    /// <summary>All source files, training first, and the tokenizer's own at the end.</summary>
    public IReadOnlyList<string> Files => [.. Train.Concat(Validation ?? []).SelectMany(corpus => corpus.Files), .. Tokenizer.Files];

    /// <summary>The configuration in one line of JSON. One folder belongs to one identity; the files' contents are not part of it.</summary>
    public string Identity => JsonSerializer.Serialize(new
    {
        version = Version,
        train = Train.Select(corpus => new { corpus.Reading, corpus.Files }),
        validation = Validation?.Select(corpus => new { corpus.Reading, corpus.Files }),
        validationFraction = Validation is null ? ValidationFraction : (double?)null,
        tokenizer = Tokenizer,
        endOfDocument = EndOfDocument,
    });

    /// <summary>The name of the folder: readable, and different for each identity.</summary>
    public string FolderName
    {
        get
        {
            var name = new string([.. Train[0].Name.Take(40).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-')]);
            return $"{name}-{Sha256(Identity)[..12]}";
        }
    }

    /// <summary>The fingerprint of the data for source files with these contents and a tokenizer file with this hash.</summary>
    public string Fingerprint(IEnumerable<SourceStamp> stamps, string tokenizerHash) =>
        Sha256(string.Join('\n', stamps.Select(stamp => stamp.Sha256)
            .Prepend(string.Join(' ', Train.Select(corpus => $"{corpus.Files.Count} {corpus.Reading}")))
            .Prepend(string.Join(' ', (Validation ?? []).Select(corpus => $"{corpus.Files.Count} {corpus.Reading}")))
            .Prepend(Validation is null ? $"fraction {ValidationFraction:R}" : "separate")
            .Prepend(JsonSerializer.Serialize(Tokenizer))
            .Prepend($"end {EndOfDocument}")
            .Prepend(tokenizerHash)
            .Prepend($"version {Version}")));

    private static string Sha256(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
