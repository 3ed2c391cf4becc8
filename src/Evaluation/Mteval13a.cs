using System.Text.RegularExpressions;

namespace Trainer.Evaluation;

/// <summary>Splits text into words as the WMT evaluation script mteval-v13a.pl does, in sacrebleu's version.</summary>
internal static partial class Mteval13a
{
    public static string[] Tokenize(string sentence)
    {
        string line = sentence.Replace("<skipped>", "", StringComparison.Ordinal)
            .Replace("-\n", "", StringComparison.Ordinal)
            .Replace('\n', ' ')
            .Replace("&quot;", "\"", StringComparison.Ordinal)
            .Replace("&amp;", "&", StringComparison.Ordinal)
            .Replace("&lt;", "<", StringComparison.Ordinal)
            .Replace("&gt;", ">", StringComparison.Ordinal);
        line = Signs().Replace($" {line} ", " $1 ");
        line = PointAfterOther().Replace(line, "$1 $2 ");
        line = PointBeforeOther().Replace(line, " $1 $2");
        return Words(DashAfterDigit().Replace(line, "$1 $2 "));
    }

    public static string[] Words(string text)
    {
        List<string> words = [];
        for (int start = 0, end; start < text.Length; start = end + 1)
        {
            for (end = start; end < text.Length && !IsSpace(text[end]);) end++;
            if (end > start) words.Add(text[start..end]);
        }
        return [.. words];
    }

    /// <summary>White space to Python: Unicode's, and four separators of ASCII.</summary>
    internal static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\u001c' and <= '\u001f';

    /// <summary>Punctuation and symbols of ASCII except the apostrophe, comma, dash and full stop.</summary>
    [GeneratedRegex(@"([{-~[-` -&(-+:-@/])", RegexOptions.CultureInvariant)]
    private static partial Regex Signs();

    [GeneratedRegex("([^0-9])([.,])", RegexOptions.CultureInvariant)]
    private static partial Regex PointAfterOther();

    [GeneratedRegex("([.,])([^0-9])", RegexOptions.CultureInvariant)]
    private static partial Regex PointBeforeOther();

    [GeneratedRegex("([0-9])(-)", RegexOptions.CultureInvariant)]
    private static partial Regex DashAfterDigit();
}
