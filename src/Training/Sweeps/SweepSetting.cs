using System.Globalization;
using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Training.Sweeps;

/// <summary>A setting of a sweep with the values it takes: those of a list, or any of a range.</summary>
internal sealed record SweepSetting(string Path, IReadOnlyList<string> Values, ValueRange? Range)
{
    /// <summary>Whether configurations differ in it.</summary>
    public bool Varies => Range is not null || Values.Count > 1;

    /// <summary>Reads <c>path=1,2</c> and <c>path=1e-4..1e-2</c>; null, with a problem, where it is neither.</summary>
    public static SweepSetting? Parse(string text, ICollection<Problem> problems)
    {
        int equals = text.IndexOf('=');
        if (equals < 1)
        {
            problems.Add(new Problem("", $"--set \"{text}\" has no path and values; write --set path=value,value, such as --set " +
                "optimizer.learningRate=1e-3,2e-3"));
            return null;
        }
        string path = text[..equals].Trim(), values = text[(equals + 1)..];
        if (ValueRange.Parse(path, values, problems) is { } range) return new SweepSetting(path, [], range);
        string[] list = [.. Split(values)];
        if (list.Length > 1 && list.Any(value => value.Length == 0))
            problems.Add(new Problem(path, $"\"{values}\" has an empty value between two commas; remove a comma"));
        foreach (IGrouping<string, string> same in list.GroupBy(value => value).Where(same => same.Count() > 1))
            problems.Add(new Problem(path, $"{same.Key} is there {same.Count()} times; give each value once"));
        return new SweepSetting(path, list, null);
    }

    /// <summary>Splits at the commas that are in no list, object or text of JSON.</summary>
    internal static IEnumerable<string> Split(string values)
    {
        int depth = 0, start = 0;
        bool quoted = false;
        for (int i = 0; i < values.Length; i++)
        {
            char c = values[i];
            if (quoted && c == '\\') i++;
            else if (c == '"') quoted = !quoted;
            else if (quoted) continue;
            else if (c is '[' or '{') depth++;
            else if (c is ']' or '}') depth--;
            else if (c == ',' && depth <= 0)
            {
                yield return values[start..i].Trim();
                start = i + 1;
            }
        }
        yield return values[start..].Trim();
    }
}

/// <summary>Numbers from <c>Low</c> to <c>High</c>: whole ones where both ends are written as such, and as many from each decade as from
/// any other where both are positive and far apart.</summary>
internal sealed partial record ValueRange(double Low, double High, bool Whole)
{
    /// <summary>The ratio of the ends from which on logarithms are drawn evenly.</summary>
    private const double Wide = 10;

    public bool IsLogarithmic => Low > 0 && High / Low >= Wide;

    public static ValueRange? Parse(string path, string text, ICollection<Problem> problems)
    {
        Match match = Ends().Match(text);
        if (!match.Success) return null;
        string low = match.Groups[1].Value, high = match.Groups[2].Value;
        ValueRange range = new(Number(low), Number(high), WholeNumber().IsMatch(low) && WholeNumber().IsMatch(high));
        if (!(range.Low < range.High)) problems.Add(new Problem(path, $"the range {text} is empty; its lower end comes first"));
        return range;
    }

    /// <summary>A value, with four significant digits where it is no whole number.</summary>
    public string Draw(Random random)
    {
        double share = random.NextDouble();
        // A whole number has all of the interval around it.
        (double low, double high) = Whole ? (Low - 0.5, High + 0.5) : (Low, High);
        double value = IsLogarithmic ? low * Math.Pow(high / low, share) : low + (high - low) * share;
        double rounded = Whole ? Math.Round(value) : Number(value.ToString("G4", CultureInfo.InvariantCulture));
        return Math.Clamp(rounded, Low, High).ToString(Whole ? "F0" : "R", CultureInfo.InvariantCulture);
    }

    private static double Number(string text) => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\.\.([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$")]
    private static partial Regex Ends();

    [GeneratedRegex(@"^[-+]?\d+$")]
    private static partial Regex WholeNumber();
}
