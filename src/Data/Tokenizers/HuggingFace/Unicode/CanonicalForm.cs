using System.Runtime.InteropServices;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Unicode normalization (UAX #15) with the tables of <see cref="UnicodeTables"/>.</summary>
internal static class CanonicalForm
{
    private const int SyllableBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int Leads = 19, Vowels = 21, Trails = 28;

    /// <summary>The normal form: compatible = the K forms, composed = the C forms.</summary>
    public static string Of(string text, bool compatible, bool composed)
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

    /// <summary>Sorts each run of combining marks by class, keeping the order of equals.</summary>
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
        if (first - SyllableBase is >= 0 and < Leads * Vowels * Trails && (first - SyllableBase) % Trails == 0 && second - TrailBase is > 0 and < Trails)
            return first + second - TrailBase;
        return UnicodeTables.Instance.Composition(first, second);
    }
}
