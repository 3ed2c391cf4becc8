using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Trainer.Data;

/// <summary>Builds the corpus dotnet-translations: JSON lines with key, source and target, for each language and split.</summary>
/// <remarks>Messages that have anything in common stay in one split, the same in all languages, and next to each other; groups of
/// them follow in a fixed random order (that of a hash), so that each part of a file covers all tools.</remarks>
internal static class TranslationsBuilder
{
    /// <summary>Counts up whenever the same files would give other texts.</summary>
    public const int Version = 1;

    /// <summary>One group in so many is held out.</summary>
    private const int HeldOut = 20;

    private static readonly JsonWriterOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Reads satellite assemblies and writes what they say into a folder.</summary>
    /// <param name="root">The .NET root.</param>
    /// <param name="assemblies">The assemblies.</param>
    /// <param name="folder">The folder.</param>
    /// <returns>What was taken from where.</returns>
    public static TranslationsSources Build(string root, IReadOnlyList<SatelliteAssembly> assemblies, string folder)
    {
        var read = Read(root, assemblies);
        var pairs = read.SelectMany(file => file.Pairs).DistinctBy(pair => (pair.Language, pair.Source, pair.Target)).ToArray();
        var groups = new MessageGroups(pairs);
        var written = pairs
            .Select(pair => (Pair: pair, Hash: Hash(groups.Of(pair))))
            .OrderBy(pair => pair.Hash, StringComparer.Ordinal).ThenBy(pair => pair.Pair.Key, StringComparer.Ordinal).ThenBy(pair => pair.Pair.Source, StringComparer.Ordinal)
            .ThenBy(pair => pair.Pair.Target, StringComparer.Ordinal)
            .GroupBy(pair => (pair.Pair.Language, Split: Convert.ToUInt32(pair.Hash[..8], 16) % HeldOut == 0 ? SourceSplit.Validation : SourceSplit.Train), pair => pair.Pair)
            .Select(part => Write(folder, part.Key.Language, part.Key.Split, [.. part]))
            .OrderBy(part => part.Path, StringComparer.Ordinal);
        return new TranslationsSources(Version, [.. written], [.. read.Select(file => file.File)]);
    }

    /// <summary>The name of the file of a language and split.</summary>
    public static string NameOf(string language, SourceSplit split) => $"{language}.{(split == SourceSplit.Train ? "train" : "validation")}.jsonl";

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
                .Select(text => TranslationPair.Of(assembly.Language, $"{text.Key.Resource}/{text.Key.Key}", english[text.Key], text.Value)).OfType<TranslationPair>()];
            read.Add((new TranslationsFile(assembly.Neutral, assembly.Satellite, assembly.Bytes, Hash(File.ReadAllBytes(path)), strings.Count, pairs.Count), pairs));
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
        return new TranslationsText(name, content.Length, Hash(content), pairs.Count, pairs.Sum(pair => Words(pair.Source)), pairs.Sum(pair => Words(pair.Target)));
    }

    /// <summary>Parts between white space that have a letter.</summary>
    private static int Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Count(word => word.Any(char.IsLetter));

    private static string Hash(string text) => Hash(Encoding.UTF8.GetBytes(text));

    private static string Hash(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
