using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The corpus <c>dotnet-translations</c>: the messages of the .NET SDK in English and one of 13 languages, as parallel text.</summary>
/// <remarks>It is built into a folder on first use, and again when the SDK changes: JSON lines with <c>key</c>, <c>source</c> and <c>target</c>
/// in <c>&lt;language&gt;.train.jsonl</c> and <c>&lt;language&gt;.validation.jsonl</c>, and <c>sources.json</c> with what was taken from where. No
/// message of the one split is in the other, in whatever language. The same SDK gives the same bytes.</remarks>
public sealed class DotnetTranslations : Corpus
{
    private const string Need = "format dotnet-translations needs the translated messages of a .NET SDK, sdk/*/<language>/*.resources.dll";
    private const string Hint = "the runtime alone has none, and distributions that build it themselves may leave them out";

    private readonly string column;

    private DotnetTranslations(SourceOptions source, string folder)
    {
        (Language, Split, column, Weight) = (source.Language!, source.Split ?? SourceSplit.Train, source.Column ?? "target", source.Weight ?? 1);
        Files = [Path.GetFullPath(Path.Combine(folder, TranslationsBuilder.NameOf(Language, Split)))];
    }

    /// <summary>The languages beside English, as .NET names them.</summary>
    public static IReadOnlyList<string> Languages { get; } = ["cs", "de", "es", "fr", "it", "ja", "ko", "pl", "pt-BR", "ru", "tr", "zh-Hans", "zh-Hant"];

    /// <summary>The language beside English.</summary>
    public string Language { get; }

    /// <summary>The part that is read.</summary>
    public SourceSplit Split { get; }

    /// <inheritdoc/>
    public override string Name => $"dotnet-translations-{Language}";

    /// <summary>The one file of JSON lines, with the columns <c>source</c> and <c>target</c>.</summary>
    public override IReadOnlyList<string> Files { get; }

    /// <inheritdoc/>
    public override string Reading => $"jsonl {column}";

    /// <inheritdoc/>
    public override IEnumerable<TextPiece> Read() => RecordReader.Pieces(() => new JsonLinesReader(Files[0], column));

    /// <summary>Opens the corpus, after building it if it is not there, incomplete, or of another SDK.</summary>
    /// <param name="source">Language, split and column; the target is read when no column is named.</param>
    /// <param name="folder">The folder of the corpus, such as <c>datasets/dotnet-translations</c>.</param>
    /// <param name="progress">Told what is built, if anything.</param>
    /// <returns>The corpus, ready to be read.</returns>
    /// <exception cref="UserException">No .NET SDK with translations is found, or its files are damaged.</exception>
    public static DotnetTranslations Open(SourceOptions source, string folder, IProgress<string>? progress = null) =>
        OpenFrom(DotnetRoot.Find(root => SatelliteAssemblies.Find(root, Languages).Count > 0, Need, Hint), source, folder, progress);

    /// <summary>As above, from the SDK at a known place.</summary>
    internal static DotnetTranslations OpenFrom(string root, SourceOptions source, string folder, IProgress<string>? progress)
    {
        var assemblies = SatelliteAssemblies.Find(root, Languages);
        if (assemblies.Count == 0)
            throw new UserException($"{Need}, and {root} has none");
        if (!IsCurrent(folder, assemblies))
            Build(folder, root, assemblies, progress);
        var corpus = new DotnetTranslations(source, folder);
        return File.Exists(corpus.Files[0]) ? corpus : throw new UserException($"the .NET SDK in {root} has no translations into {corpus.Language}; choose another language");
    }

    private static bool IsCurrent(string folder, IReadOnlyList<SatelliteAssembly> assemblies) =>
        TranslationsSources.TryLoad(SourcesOf(folder)) is { Builder: TranslationsBuilder.Version } sources
        && sources.Files.Select(file => (file.Path, file.Bytes)).SequenceEqual(assemblies.Select(assembly => (assembly.Satellite, assembly.Bytes)))
        && sources.Texts.All(text => new FileInfo(Path.Combine(folder, text.Path)) is { Exists: true } file && file.Length == text.Bytes);

    private static void Build(string folder, string root, IReadOnlyList<SatelliteAssembly> assemblies, IProgress<string>? progress)
    {
        progress?.Report($"building the corpus dotnet-translations from {assemblies.Count} satellite assemblies ({assemblies.Sum(assembly => assembly.Bytes) / 1e6:0} MB) in {root}");
        TranslationsSources? sources = null;
        WholeFile.WriteFolder(folder, temporary =>
        {
            sources = TranslationsBuilder.Build(root, assemblies, temporary);
            sources.Save(SourcesOf(temporary));
        });
        progress?.Report(
            $"built {folder}: {sources!.Texts.Sum(text => text.Pairs):N0} pairs of messages in English and {assemblies.DistinctBy(assembly => assembly.Language).Count()} other languages, "
            + $"{sources.Texts.Sum(text => text.SourceWords):N0} English words");
    }

    private static string SourcesOf(string folder) => Path.Combine(folder, "sources.json");
}
