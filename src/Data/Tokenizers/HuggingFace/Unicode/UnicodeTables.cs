using System.Globalization;

namespace Trainer.Data.HuggingFace;

/// <summary>The Unicode data of Hugging Face's tokenizers, read once from the resource <c>Unicode.txt</c>.</summary>
/// <remarks>The runtime's own normalization does nothing when globalization is invariant, and its categories are of a newer
/// Unicode than the ones these tokenizers were trained with.</remarks>
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

    /// <summary>The canonical combining class; 0 for most characters.</summary>
    public int Class(int codePoint) => codePoint < 0x300 ? 0 : classes.GetValueOrDefault(codePoint);

    /// <summary>The decomposition of a character by one step, or null when it has none.</summary>
    public int[]? Decomposition(int codePoint, bool compatible) =>
        canonical.TryGetValue(codePoint, out var parts) || (compatible && compatibility.TryGetValue(codePoint, out parts)) ? parts : null;

    /// <summary>The character that a pair composes to, or −1.</summary>
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

    /// <summary>Lines that begin with a space go on with the line before.</summary>
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
