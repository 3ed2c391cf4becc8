using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>The corpus <c>dotnet-translations</c>: .NET SDK messages in English and one of 13 languages. Built into a folder on first use
/// and again when the SDK changes, as JSON lines of <c>key</c>, <c>source</c> and <c>target</c> in two splits, which share no message in
/// any language; the same SDK gives the same bytes.</summary>
internal sealed class DotnetTranslations : Corpus
{
    private const string Need = "format dotnet-translations needs the translated messages of a .NET SDK, sdk/*/<language>/*.resources.dll";
    private const string Hint = "the runtime alone has none, and distributions that build it themselves may leave them out";

    private readonly string column;

    private DotnetTranslations(SourceOptions source, string folder)
    {
        (Language, Split, column, Weight) = (source.Language!, source.Split ?? SourceSplit.Train, source.Column ?? "target",
            source.Weight ?? 1);
        Files = [Path.GetFullPath(Path.Combine(folder, TranslationsBuilder.NameOf(Language, Split)))];
    }

    public static IReadOnlyList<string> Languages { get; } = ["cs", "de", "es", "fr", "it", "ja", "ko", "pl", "pt-BR", "ru", "tr",
        "zh-Hans", "zh-Hant"];

    public string Language { get; }

    public SourceSplit Split { get; }

    public override string Name => $"dotnet-translations-{Language}";

    public override IReadOnlyList<string> Files { get; }

    public override string Reading => $"jsonl {column}";

    public override IEnumerable<TextPiece> Read() => RecordReader.Pieces(() => new JsonLinesReader(Files[0], column));

    public static DotnetTranslations Open(SourceOptions source, string folder, IProgress<string>? progress = null) =>
        OpenFrom(DotnetInstallation.Find(root => SatelliteAssemblies.Find(root, Languages).Count > 0, Need, Hint), source, folder,
            progress);

    internal static DotnetTranslations OpenFrom(string root, SourceOptions source, string folder, IProgress<string>? progress)
    {
        var assemblies = SatelliteAssemblies.Find(root, Languages);
        if (assemblies.Count == 0)
            throw new UserException($"{Need}, and {root} has none");
        if (!IsCurrent(folder, assemblies))
            Build(folder, root, assemblies, progress);
        var corpus = new DotnetTranslations(source, folder);
        return File.Exists(corpus.Files[0])
            ? corpus
            : throw new UserException($"the .NET SDK in {root} has no translations into {corpus.Language}; choose another language");
    }

    private static bool IsCurrent(string folder, IReadOnlyList<SatelliteAssembly> assemblies) =>
        TranslationsSources.TryLoad(SourcesOf(folder)) is { Builder: TranslationsBuilder.Version } sources
        && sources.Files.Select(file => (file.Path, file.Bytes))
        .SequenceEqual(assemblies.Select(assembly => (assembly.Satellite, assembly.Bytes)))
        && sources.Texts.All(text => new FileInfo(Path.Combine(folder, text.Path)) is { Exists: true } file && file.Length == text.Bytes);

    private static void Build(string folder, string root, IReadOnlyList<SatelliteAssembly> assemblies, IProgress<string>? progress)
    {
        progress?.Report($"building the corpus dotnet-translations from {assemblies.Count} satellite assemblies "
            + $"({assemblies.Sum(assembly => assembly.Bytes) / 1e6:0} MB) in {root}");
        TranslationsSources? sources = null;
        AtomicFile.WriteFolder(folder, temporary =>
        {
            sources = TranslationsBuilder.Build(root, assemblies, temporary);
            sources.Save(SourcesOf(temporary));
        });
        progress?.Report(
            $"built {folder}: {sources!.Texts.Sum(text => text.Pairs):N0} pairs of messages in English "
            + $"and {assemblies.DistinctBy(assembly => assembly.Language).Count()} other languages, "
            + $"{sources.Texts.Sum(text => text.SourceWords):N0} English words");
    }

    private static string SourcesOf(string folder) => Path.Combine(folder, "sources.json");
}

/// <summary>Messages that share anything stay in one split, the same for all languages, and next to each other; groups follow in a fixed
/// random order (by hash), so every part of a file covers all tools.</summary>
internal static class TranslationsBuilder
{
    /// <summary>Incremented when the same files would give other texts.</summary>
    public const int Version = 1;

    private const int HeldOut = 20;

    private static readonly JsonWriterOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static TranslationsSources Build(string root, IReadOnlyList<SatelliteAssembly> assemblies, string folder)
    {
        var read = Read(root, assemblies);
        var pairs = read.SelectMany(file => file.Pairs).DistinctBy(pair => (pair.Language, pair.Source, pair.Target)).ToArray();
        var groups = new MessageGroups(pairs);
        var written = pairs
            .Select(pair => (Pair: pair, Hash: Hash(groups.Of(pair))))
            .OrderBy(pair => pair.Hash, StringComparer.Ordinal).ThenBy(pair => pair.Pair.Key, StringComparer.Ordinal)
            .ThenBy(pair => pair.Pair.Source, StringComparer.Ordinal)
            .ThenBy(pair => pair.Pair.Target, StringComparer.Ordinal)
            .GroupBy(pair => (pair.Pair.Language,
            Split: Convert.ToUInt32(pair.Hash[..8], 16) % HeldOut == 0 ? SourceSplit.Validation : SourceSplit.Train), pair => pair.Pair)
            .Select(part => Write(folder, part.Key.Language, part.Key.Split, [.. part]))
            .OrderBy(part => part.Path, StringComparer.Ordinal);
        return new TranslationsSources(Version, [.. written], [.. read.Select(file => file.File)]);
    }

    public static string NameOf(string language, SourceSplit split) =>
        $"{language}.{(split == SourceSplit.Train ? "train" : "validation")}.jsonl";

    private static List<(TranslationsFile File, List<TranslationPair> Pairs)> Read(string root, IReadOnlyList<SatelliteAssembly> assemblies)
    {
        var neutral = new Dictionary<string, Dictionary<(string, string), string>>();
        var read = new List<(TranslationsFile, List<TranslationPair>)>();
        foreach (var assembly in assemblies)
        {
            if (!neutral.TryGetValue(assembly.Neutral, out var english))
                neutral.Add(assembly.Neutral, english = AssemblyStrings.Read(Path.Combine(root, assembly.Neutral), ""));
            var path = Path.Combine(root, assembly.Satellite);
            var strings = AssemblyStrings.Read(path, assembly.Language);
            List<TranslationPair> pairs = [.. strings
                .Where(text => english.ContainsKey(text.Key))
                .Select(text => TranslationPair.Of(assembly.Language, $"{text.Key.Resource}/{text.Key.Key}", english[text.Key], text.Value))
                .OfType<TranslationPair>()];
            read.Add((new TranslationsFile(assembly.Neutral, assembly.Satellite, assembly.Bytes, Hash(File.ReadAllBytes(path)),
                strings.Count, pairs.Count), pairs));
        }
        return read;
    }

    private static TranslationsText Write(string folder, string language, SourceSplit split, IReadOnlyList<TranslationPair> pairs)
    {
        var name = NameOf(language, split);
        using (var file = File.Create(Path.Combine(folder, name)))
            foreach (var pair in pairs)
            {
                using (var json = new Utf8JsonWriter(file, Format))
                {
                    json.WriteStartObject();
                    json.WriteString("key", pair.Key);
                    json.WriteString("source", pair.Source);
                    json.WriteString("target", pair.Target);
                    json.WriteEndObject();
                }
                file.WriteByte((byte)'\n');
            }
        var content = File.ReadAllBytes(Path.Combine(folder, name));
        return new TranslationsText(name, content.Length, Hash(content), pairs.Count, pairs.Sum(pair => Words(pair.Source)),
            pairs.Sum(pair => Words(pair.Target)));
    }

    private static int Words(string text) =>
        text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Count(word => word.Any(char.IsLetter));

    private static string Hash(string text) => Hash(Encoding.UTF8.GetBytes(text));

    private static string Hash(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}

/// <summary>The file <c>sources.json</c>: the origin of dotnet-translations, the same on every machine with the same SDK.</summary>
internal sealed record TranslationsSources(int Builder, IReadOnlyList<TranslationsText> Texts, IReadOnlyList<TranslationsFile> Files)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true, NewLine = "\n", RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    };

    public void Save(string path) => File.WriteAllBytes(path, [.. JsonSerializer.SerializeToUtf8Bytes(this, Format), (byte)'\n']);

    /// <summary>Null when the file is missing or not understood; the corpus is then rebuilt.</summary>
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

/// <summary>The pairs of one language and split; words are separated by white space, which Chinese and Japanese lack.</summary>
internal sealed record TranslationsText(string Path, long Bytes, string Sha256, int Pairs, int SourceWords, int TargetWords);

internal sealed record TranslationsFile(string Neutral, string Path, long Bytes, string Sha256, int Strings, int Pairs);
