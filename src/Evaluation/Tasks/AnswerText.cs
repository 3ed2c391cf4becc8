using System.Text.RegularExpressions;

namespace Trainer.Evaluation.Tasks;

/// <summary>Compares answers as SQuAD does (Rajpurkar et al. 2016): without case, punctuation, articles and spare spaces.</summary>
internal static partial class AnswerText
{
    /// <summary>A text as it is compared.</summary>
    public static string Normalized(string text) =>
        string.Join(' ', Articles().Replace(string.Concat(text.ToLowerInvariant().Where(c => !IsPunctuation(c))), " ")
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>The harmonic mean of the shares of words that both have, repetitions counted.</summary>
    public static double F1(string answer, string target)
    {
        string[] given = Normalized(answer).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] wanted = Normalized(target).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (given.Length == 0 || wanted.Length == 0) return given.Length == wanted.Length ? 1 : 0;
        Dictionary<string, int> left = wanted.CountBy(word => word).ToDictionary();
        int common = given.Count(word => left.TryGetValue(word, out int count) && (left[word] = count - 1) >= 0);
        return 2.0 * common / (given.Length + wanted.Length);
    }

    /// <summary>A text as <c>exact_match</c> compares it.</summary>
    public static string Compared(string text, TaskMetric metric) => string.Concat(
        (metric.IgnoreCase ? text.ToLowerInvariant() : text).Where(c => !(metric.IgnorePunctuation && IsPunctuation(c))
            && !(metric.IgnoreNumbers && char.IsAsciiDigit(c))));

    private static bool IsPunctuation(char c) => char.IsAscii(c) && (char.IsPunctuation(c) || char.IsSymbol(c));

    [GeneratedRegex(@"\b(a|an|the)\b")]
    private static partial Regex Articles();
}
