using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Trainer.Data.Tokenizers.Unicode;

internal static class UnicodeNormalization
{
    private const int SyllableBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int Leads = 19, Vowels = 21, Trails = 28;

    /// <summary>NFC, NFD, NFKC or NFKD: compatible selects K, composed C.</summary>
    public static string Normalize(string text, bool compatible, bool composed)
    {
        if (IsPlain(text, compatible || !composed))
            return text;
        var codePoints = new List<int>(text.Length + 16);
        foreach (var character in text.EnumerateRunes())
            Decompose(character.Value, compatible, codePoints);
        Reorder(CollectionsMarshal.AsSpan(codePoints));
        if (composed)
            Compose(codePoints);
        var result = new StringBuilder(codePoints.Count + 16);
        foreach (var codePoint in codePoints)
            result.Append(new Rune(codePoint));
        return result.ToString();
    }

    /// <summary>Nothing below U+00A0 changes in any form, nothing below U+0300 in NFC.</summary>
    private static bool IsPlain(string text, bool decomposes) =>
        text.AsSpan().IndexOfAnyExceptInRange('\0', decomposes ? '\u009F' : '\u02FF') < 0;

    private static void Decompose(int codePoint, bool compatible, List<int> output)
    {
        if (codePoint - SyllableBase is var syllable and >= 0 and < Leads * Vowels * Trails)
        {
            output.Add(LeadBase + syllable / (Vowels * Trails));
            output.Add(VowelBase + syllable / Trails % Vowels);
            if (syllable % Trails != 0)
                output.Add(TrailBase + syllable % Trails);
        }
        else if (codePoint >= 0xA0 && UnicodeTables.Instance.Decomposition(codePoint, compatible) is { } parts)
            foreach (var part in parts)
                Decompose(part, compatible, output);
        else
            output.Add(codePoint);
    }

    private static void Reorder(Span<int> codePoints)
    {
        for (var start = 0; start < codePoints.Length; start++)
        {
            if (UnicodeTables.Instance.Class(codePoints[start]) == 0)
                continue;
            var end = start + 1;
            while (end < codePoints.Length && UnicodeTables.Instance.Class(codePoints[end]) != 0)
                end++;
            var run = codePoints[start..end];
            if (run.Length > 1)
                run.ToArray().OrderBy(UnicodeTables.Instance.Class).ToArray().CopyTo(run);
            start = end;
        }
    }

    private static void Compose(List<int> codePoints)
    {
        var (starter, written, previousClass) = (-1, 0, 0);
        foreach (var codePoint in codePoints.ToArray())
        {
            var @class = UnicodeTables.Instance.Class(codePoint);
            var adjacent = written == starter + 1;
            if (starter >= 0 && (adjacent || previousClass < @class) && Pair(codePoints[starter], codePoint) is var composed and >= 0)
            {
                codePoints[starter] = composed;
                continue;
            }
            if (@class == 0)
                starter = written;
            previousClass = @class;
            codePoints[written++] = codePoint;
        }
        codePoints.RemoveRange(written, codePoints.Count - written);
    }

    private static int Pair(int first, int second)
    {
        if (first - LeadBase is >= 0 and < Leads && second - VowelBase is >= 0 and < Vowels)
            return SyllableBase + ((first - LeadBase) * Vowels + second - VowelBase) * Trails;
        if (first - SyllableBase is >= 0 and < Leads * Vowels * Trails && (first - SyllableBase) % Trails == 0
            && second - TrailBase is > 0 and < Trails)
            return first + second - TrailBase;
        return UnicodeTables.Instance.Composition(first, second);
    }
}

/// <summary>The Unicode data of Hugging Face's tokenizers. The runtime's normalization does nothing under invariant globalization, and its
/// categories belong to a newer Unicode than these tokenizers were trained with.</summary>
internal sealed class UnicodeTables
{
    private static readonly Lazy<UnicodeTables> Loaded = new(Load);

    private readonly Dictionary<int, int[]> canonical = [];
    private readonly Dictionary<int, int[]> compatibility = [];
    private readonly Dictionary<(int First, int Second), int> compositions = [];
    private readonly Dictionary<int, byte> classes = [];
    private readonly Dictionary<string, CodePointSet> sets = [];

    public static UnicodeTables Instance => Loaded.Value;

    public CodePointSet Punctuation => sets["punctuation"];

    public CodePointSet NonspacingMarks => sets["nonspacing"];

    public CodePointSet CombiningMarks => sets["combining"];

    public int Class(int codePoint) => codePoint < 0x300 ? 0 : classes.GetValueOrDefault(codePoint);

    public int[]? Decomposition(int codePoint, bool compatible) =>
        canonical.TryGetValue(codePoint, out var parts) || (compatible && compatibility.TryGetValue(codePoint, out parts)) ? parts : null;

    public int Composition(int first, int second) => compositions.TryGetValue((first, second), out var composed) ? composed : -1;

    private static UnicodeTables Load()
    {
        using var stream = typeof(UnicodeTables).Assembly.GetManifestResourceStream("Trainer.Data.Unicode.txt")
            ?? throw new InvalidOperationException("the assembly lacks its resource Unicode.txt");
        using var reader = new StreamReader(stream);
        var tables = new UnicodeTables();
        foreach (var section in reader.ReadToEnd().Split('\n').Where(line => !line.StartsWith('#')).Aggregate(new List<string>(), Unfold))
            tables.Add(section);
        return tables;
    }

    /// <summary>Lines that begin with a space continue the previous line.</summary>
    private static List<string> Unfold(List<string> sections, string line)
    {
        if (line.StartsWith(' '))
            sections[^1] += line[1..];
        else if (line.Length > 0)
            sections.Add(line);
        return sections;
    }

    private void Add(string section)
    {
        var space = section.IndexOf(' ');
        var (name, content) = (section[..space], section[(space + 1)..]);
        if (name is "compose" or "canonical" or "compatibility")
            foreach (var entry in content.Split(';', StringSplitOptions.TrimEntries))
                AddDecomposition(name, [.. entry.Split(' ').Select(Hexadecimal)]);
        else if (name == "class")
            foreach (var (first, last) in Ranges(content[(content.IndexOf(' ') + 1)..]))
                for (var codePoint = first; codePoint <= last; codePoint++)
                    classes[codePoint] = byte.Parse(content.AsSpan(0, content.IndexOf(' ')), CultureInfo.InvariantCulture);
        else
            sets[name] = CodePointSet.Of(Ranges(content));
    }

    private void AddDecomposition(string kind, int[] entry)
    {
        (kind == "compatibility" ? compatibility : canonical)[entry[0]] = entry[1..];
        if (kind == "compose")
            compositions[(entry[1], entry[2])] = entry[0];
    }

    private static IEnumerable<(int First, int Last)> Ranges(string text) =>
        from range in text.Split(' ')
        let dash = range.IndexOf('-')
        select dash < 0 ? (Hexadecimal(range), Hexadecimal(range)) : (Hexadecimal(range[..dash]), Hexadecimal(range[(dash + 1)..]));

    private static int Hexadecimal(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
