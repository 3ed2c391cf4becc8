using System.Security.Cryptography;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tests.Parquet;

namespace Trainer.Data.Tests.Corpora;

/// <summary>Built from a few assemblies of the SDK that runs the tests.</summary>
public sealed class DotnetTranslationsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly List<string> lines = [];

    public DotnetTranslationsTests()
    {
        var sdk = Directory.GetDirectories(Path.Combine(DotnetInstallation.Find(), "sdk")).Order(StringComparer.Ordinal).Last();
        foreach (var name in new[] { "NuGet.Commands", "NuGet.Packaging", "Microsoft.TemplateEngine.Cli", "System.CommandLine" })
        {
            Copy(sdk, $"{name}.dll");
            Copy(sdk, $"de/{name}.resources.dll");
            Copy(sdk, $"ja/{name}.resources.dll");
        }
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void No_key_source_or_target_is_in_both_splits()
    {
        var (train, held) = (Pairs("de", SourceSplit.Train), Pairs("de", SourceSplit.Validation));
        Assert.InRange(train.Count, 500, 5000);
        Assert.InRange(held.Count, train.Count / 60, train.Count / 8);
        foreach (var side in new Func<TranslationPair, string>[] { pair => pair.Key, pair => TranslationPair.Letters(pair.Source),
            pair => TranslationPair.Letters(pair.Target) })
            Assert.Empty(train.Select(side).Intersect(held.Select(side)));
        Assert.Empty(train.Select(pair => pair.Key).Intersect(Pairs("ja", SourceSplit.Validation).Select(pair => pair.Key)));
        Assert.Equal(train.Count, train.Select(pair => (pair.Source, pair.Target)).Distinct().Count());
        Assert.All(train, pair => Assert.NotNull(TranslationPair.Of("de", pair.Key, pair.Source, pair.Target)));
    }

    [Fact]
    public void Either_side_can_be_read()
    {
        var pairs = Pairs("de", SourceSplit.Train);
        Assert.Equal([.. pairs.Select(pair => pair.Target)], ParquetFixtures.Documents(Open("de").Read()));
        Assert.Equal([.. pairs.Select(pair => pair.Source)], ParquetFixtures.Documents(Open("de", column: "source").Read()));
        Assert.Contains(pairs, pair => pair.Source.Contains("package") && pair.Target.Contains("Paket"));
    }

    [Fact]
    public void The_same_sdk_gives_the_same_bytes_and_the_record_says_which()
    {
        var first = Contents(Open("de"));
        Directory.Delete(folder["out"], recursive: true);
        Assert.Equal(first, Contents(Open("de")));
        var sources = TranslationsSources.TryLoad(folder["out/sources.json"])!;
        Assert.Equal(["de.train.jsonl", "de.validation.jsonl", "ja.train.jsonl", "ja.validation.jsonl"],
            sources.Texts.Select(text => text.Path));
        Assert.All(sources.Texts,
            text => Assert.Equal(text.Sha256, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(folder[$"out/{text.Path}"])))));
        Assert.Equal(8, sources.Files.Count);
        Assert.All(sources.Files, file => Assert.InRange(file.Pairs, 1, file.Strings));
    }

    [Fact]
    public void It_is_built_once_and_again_when_the_sdk_changes_or_a_file_is_damaged()
    {
        Open("de");
        Assert.Equal(2, lines.Count);
        Open("ja");
        Assert.Equal(2, lines.Count);
        File.AppendAllText(folder["out/ja.train.jsonl"], "x");
        Open("de");
        Assert.Equal(4, lines.Count);
        File.Delete(folder["root/sdk/10.0.0/ja/NuGet.Packaging.resources.dll"]);
        Open("de");
        Assert.Equal(6, lines.Count);
    }

    [Fact]
    public void A_damaged_assembly_a_language_that_is_not_there_and_an_sdk_without_any_are_named()
    {
        Assert.Equal($"the .NET SDK in {folder["root"]} has no translations into fr; choose another language",
            Assert.Throws<UserException>(() => Open("fr")).Message);
        var path = folder["root/sdk/10.0.0/de/NuGet.Packaging.resources.dll"];
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..700]);
        Assert.Matches("NuGet\\.Packaging\\.resources\\.dll is damaged: .*; repair or reinstall the \\.NET SDK$",
            Assert.Throws<UserException>(() => Open("de")).Message);
        Directory.Delete(folder["root/sdk"], recursive: true);
        Assert.StartsWith("format dotnet-translations needs the translated messages of a .NET SDK",
            Assert.Throws<UserException>(() => Open("de")).Message);
    }

    private DotnetTranslations Open(string language, SourceSplit split = SourceSplit.Train, string? column = null) =>
        DotnetTranslations.OpenFrom(
        folder["root"], new SourceOptions { Format = SourceFormat.DotnetTranslations, Language = language, Split = split, Column = column },
        folder["out"], new ProgressLog(lines));

    private List<TranslationPair> Pairs(string language, SourceSplit split) =>
        [.. File.ReadLines(Open(language, split).Files[0])
            .Select(line => JsonSerializer.Deserialize<TranslationPair>(line, JsonSerializerOptions.Web)! with { Language = language })];

    private static string[] Contents(DotnetTranslations corpus) =>
        [.. Directory.GetFiles(Path.GetDirectoryName(corpus.Files[0])!).Order(StringComparer.Ordinal).Select(File.ReadAllText)];

    private void Copy(string sdk, string name)
    {
        var target = folder[$"root/sdk/10.0.0/{name}"];
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        File.Copy(Path.Combine(sdk, name), target);
    }
}
