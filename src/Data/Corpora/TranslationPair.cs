using System.Collections;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Resources;
using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>A message in English and another language; <c>Key</c> names its resource and its key there.</summary>
internal sealed partial record TranslationPair(string Language, string Key, string Source, string Target)
{
    /// <summary>Cleans both texts; null when one has no words but placeholders, has control characters, or the other's letters.</summary>
    public static TranslationPair? Of(string language, string key, string source, string target)
    {
        var (english, other) = (Clean(source), Clean(target));
        var (sourceLetters, targetLetters) = (Letters(english), Letters(other));
        return sourceLetters.Length >= 2 && targetLetters.Length >= 1 && sourceLetters != targetLetters && IsText(english) && IsText(other)
            ? new TranslationPair(language, key, english, other)
            : null;
    }

    /// <summary>A text's letters in lower case, without placeholders: equal for messages that say the same.</summary>
    public static string Letters(string text) => string.Concat(Placeholder().Replace(text, " ").Where(char.IsLetter)).ToLowerInvariant();

    private static string Clean(string text) => text.ReplaceLineEndings("\n").Trim();

    private static bool IsText(string text) => !text.Any(c => c is '\uFFFD' || (char.IsControl(c) && c is not ('\n' or '\t')));

    /// <summary><c>{0:N2}</c>, <c>%s</c>, <c>$(Property)</c>, <c>@(Item)</c>.</summary>
    [GeneratedRegex(@"\{[^{}\s]*\}|%\d*[a-z]\b|[$@]\([^)]*\)")]
    private static partial Regex Placeholder();
}

/// <summary>Groups messages that share a key, an English text or a translation, so that none is in both training and validation: disjoint
/// sets with path halving (Tarjan and van Leeuwen 1984).</summary>
internal sealed class MessageGroups
{
    private readonly Dictionary<string, int> numbers = new(StringComparer.Ordinal);
    private readonly List<int> parents = [];
    private readonly List<string> names = [];

    public MessageGroups(IEnumerable<TranslationPair> pairs)
    {
        foreach (var pair in pairs)
        {
            var source = Root(Number(SourceOf(pair)));
            Join(source, Number($"key {pair.Key}"));
            Join(source, Number($"target {pair.Language} {TranslationPair.Letters(pair.Target)}"));
        }
    }

    /// <summary>The name of a pair's group: the ordinally first of everything its pairs share.</summary>
    public string Of(TranslationPair pair) => names[Root(numbers[SourceOf(pair)])];

    private static string SourceOf(TranslationPair pair) => $"source {TranslationPair.Letters(pair.Source)}";

    private int Number(string name)
    {
        if (numbers.TryGetValue(name, out var number))
            return number;
        numbers.Add(name, number = parents.Count);
        parents.Add(number);
        names.Add(name);
        return number;
    }

    private void Join(int one, int other)
    {
        (one, other) = (Root(one), Root(other));
        if (one == other)
            return;
        if (string.CompareOrdinal(names[other], names[one]) < 0)
            names[one] = names[other];
        parents[other] = one;
    }

    private int Root(int number)
    {
        while (parents[number] != number)
            number = parents[number] = parents[parents[number]];
        return number;
    }
}

/// <summary>Reads string resources from an assembly file without loading it.</summary>
internal static class AssemblyStrings
{
    private const string Suffix = ".resources";

    /// <summary>Texts by resource name and key; a satellite's <paramref name="culture"/>, empty for a neutral one, is cut off.</summary>
    public static Dictionary<(string Resource, string Key), string> Read(string path, string culture)
    {
        var strings = new Dictionary<(string, string), string>();
        try
        {
            using var image = new PEReader(File.OpenRead(path));
            if (!image.HasMetadata)
                return strings;
            var metadata = image.GetMetadataReader();
            var ending = culture.Length == 0 ? Suffix : $".{culture}{Suffix}";
            foreach (var resource in metadata.ManifestResources.Select(metadata.GetManifestResource))
                if (resource.Implementation.IsNil && metadata.GetString(resource.Name) is var name
                    && name.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
                    Add(strings, name[..^ending.Length], Content(image, resource));
            return strings;
        }
        catch (Exception e) when (e is BadImageFormatException or ArgumentException or EndOfStreamException or IOException)
        {
            throw new UserException($"{path} is damaged: {e.Message.TrimEnd('.')}; repair or reinstall the .NET SDK", e);
        }
    }

    /// <summary>An embedded resource's bytes, which follow their length.</summary>
    private static byte[] Content(PEReader image, ManifestResource resource)
    {
        var start = image.PEHeaders.CorHeader!.ResourcesDirectory.RelativeVirtualAddress;
        var section = image.GetSectionData(start).GetReader();
        section.Offset = checked((int)resource.Offset);
        return section.ReadBytes(section.ReadInt32());
    }

    private static void Add(Dictionary<(string, string), string> strings, string name, byte[] content)
    {
        try
        {
            using var reader = new ResourceReader(new MemoryStream(content));
            for (var entries = reader.GetEnumerator(); entries.MoveNext();)
                if (Text(reader, entries) is { } text)
                    strings[(name, (string)entries.Key)] = text;
        }
        catch (NotSupportedException)
        {
            // Resource sets with objects, such as icons, need another reader and hold no messages.
        }
    }

    /// <summary>Null for what is no text.</summary>
    private static string? Text(ResourceReader reader, IDictionaryEnumerator entries)
    {
        try
        {
            return entries.Value as string;
        }
        catch (Exception) when (!IsText(reader, (string)entries.Key))
        {
            return null; // an object that cannot be made here
        }
    }

    // Only where it must be known: the reader sorts the places of all resources at each call.
    private static bool IsText(ResourceReader reader, string key)
    {
        reader.GetResourceData(key, out var type, out _);
        return type == "ResourceTypeCode.String";
    }
}
