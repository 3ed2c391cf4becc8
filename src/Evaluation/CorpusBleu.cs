using System.Globalization;

namespace Trainer.Evaluation;

/// <summary>BLEU (Papineni et al. 2002) with sacrebleu's results (Post 2018, arXiv 1804.08771): no mean over sentences.</summary>
public static class CorpusBleu
{
    /// <summary>Scores translations against one or more references of the whole corpus.</summary>
    /// <exception cref="ArgumentException">There is no sentence or no reference, or their numbers differ.</exception>
    public static BleuScore Score(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references,
        BleuOptions? options = null)
    {
        options ??= new BleuOptions();
        Require(hypotheses, references);
        BleuStatistics statistics = new();
        for (int sentence = 0; sentence < hypotheses.Count; sentence++)
            statistics.Add(Words(hypotheses[sentence], options), [.. references.Select(reference => Words(reference[sentence], options))]);
        return statistics.Score(options, options.Signature(references.Count));
    }

    /// <summary>Scores translations against one reference each.</summary>
    public static BleuScore Score(IReadOnlyList<string> hypotheses, IReadOnlyList<string> references, BleuOptions? options = null) =>
        Score(hypotheses, [references], options);

    private static string[] Words(string sentence, BleuOptions options)
    {
        if (options.Lowercase) sentence = sentence.ToLowerInvariant();
        int end = sentence.Length;
        while (end > 0 && Mteval13a.IsSpace(sentence[end - 1])) end--;
        return options.Tokenization == BleuTokenization.Mteval13a ? Mteval13a.Tokenize(sentence[..end]) : Mteval13a.Words(sentence);
    }

    private static void Require(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references)
    {
        if (hypotheses.Count == 0) throw new ArgumentException("there is no hypothesis to score", nameof(hypotheses));
        if (references.Count == 0) throw new ArgumentException("there is no reference to score against", nameof(references));
        foreach (IReadOnlyList<string> reference in references)
            if (reference.Count != hypotheses.Count)
                throw new ArgumentException($"a reference has {reference.Count} sentences, but there are {hypotheses.Count} hypotheses",
                    nameof(references));
    }
}

/// <summary>How BLEU is computed; every choice changes the figure and is part of its signature.</summary>
public sealed record BleuOptions
{
    /// <summary>How sentences are cut into words.</summary>
    public BleuTokenization Tokenization { get; init; } = BleuTokenization.Mteval13a;

    /// <summary>How n-grams of an order without any match count.</summary>
    public BleuSmoothing Smoothing { get; init; } = BleuSmoothing.Exponential;

    /// <summary>Whether case is ignored.</summary>
    public bool Lowercase { get; init; }

    /// <summary>Whether n-gram orders longer than the hypothesis are left out; for single sentences.</summary>
    public bool EffectiveOrder { get; init; }

    internal string Signature(int references) => string.Join('|',
        $"nrefs:{references}",
        $"case:{(Lowercase ? "lc" : "mixed")}",
        $"eff:{(EffectiveOrder ? "yes" : "no")}",
        $"tok:{(Tokenization == BleuTokenization.Mteval13a ? "13a" : "none")}",
        $"smooth:{(Smoothing == BleuSmoothing.Exponential ? "exp" : "none")}",
        $"version:trainer-{typeof(BleuOptions).Assembly.GetName().Version?.ToString(3)}");
}

/// <summary>How sentences are cut into words.</summary>
public enum BleuTokenization
{
    /// <summary>By the rules of the WMT evaluation script mteval-v13a: sacrebleu's default.</summary>
    Mteval13a,

    /// <summary>At white space alone, for text that is cut already.</summary>
    None,
}

/// <summary>How n-grams of an order without any match count.</summary>
public enum BleuSmoothing
{
    /// <summary>The k-th order without a match counts 1/2ᵏ matches (NIST; Chen and Cherry 2014, method 3): sacrebleu's default.</summary>
    Exponential,

    /// <summary>The score is 0.</summary>
    None,
}

/// <summary>BLEU, 0 to 100, and its parts: smoothed precisions, 0 to 100, the brevity penalty, 0 to 1, and lengths in words.</summary>
/// <remarks><c>ReferenceLength</c> is of the references closest in length. Scores compare only if their signatures are equal.</remarks>
public sealed record BleuScore(
    double Score, IReadOnlyList<double> Precisions, double BrevityPenalty, long HypothesisLength, long ReferenceLength, string Signature)
{
    /// <summary>The line that sacrebleu prints.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"BLEU|{Signature} = {Score:F2} {string.Join('/', Precisions.Select(p => p.ToString("F1", CultureInfo.InvariantCulture)))} " +
        $"(BP = {BrevityPenalty:F3} ratio = {Ratio:F3} hyp_len = {HypothesisLength} ref_len = {ReferenceLength})");

    private double Ratio => ReferenceLength == 0 ? 0 : (double)HypothesisLength / ReferenceLength;
}

internal sealed class BleuStatistics
{
    private readonly long[] matches = new long[NgramCounts.MaxOrder];
    private readonly long[] totals = new long[NgramCounts.MaxOrder];
    private long hypothesisLength;
    private long referenceLength;

    public void Add(string[] hypothesis, string[][] references)
    {
        NgramCounts own = new(hypothesis), reference = NgramCounts.Most(references.Select(words => new NgramCounts(words)));
        for (int order = 1; order <= NgramCounts.MaxOrder; order++)
        {
            matches[order - 1] += own.Matches(reference, order);
            totals[order - 1] += Math.Max(0, hypothesis.Length - order + 1);
        }
        hypothesisLength += hypothesis.Length;
        referenceLength += references.Select(words => words.Length).OrderBy(length => Math.Abs(length - hypothesis.Length))
            .ThenBy(length => length).First();
    }

    public BleuScore Score(BleuOptions options, string signature)
    {
        double brevity = hypothesisLength >= referenceLength ? 1
            : hypothesisLength > 0 ? Math.Exp(1 - (double)referenceLength / hypothesisLength) : 0;
        double[] precisions = new double[NgramCounts.MaxOrder];
        if (matches.All(count => count == 0)) return new(0, precisions, brevity, hypothesisLength, referenceLength, signature);

        int orders = totals.Count(total => total > 0);
        double none = 1;
        for (int order = 0; order < orders; order++)
        {
            if (matches[order] == 0 && options.Smoothing == BleuSmoothing.Exponential) none *= 2;
            double found = matches[order] > 0 ? matches[order] : options.Smoothing == BleuSmoothing.Exponential ? 1 / none : 0;
            precisions[order] = 100 * found / totals[order];
        }
        IEnumerable<double> used = precisions.Take(options.EffectiveOrder ? orders : precisions.Length);
        double score = used.Any(precision => precision == 0) ? 0 : brevity * Math.Exp(used.Average(Math.Log));
        return new(score, precisions, brevity, hypothesisLength, referenceLength, signature);
    }
}

internal sealed class NgramCounts
{
    public const int MaxOrder = 4;

    // Words hold no white space, so that runs joined by spaces are equal only where their words are.
    private readonly Dictionary<string, int>[] counts = [.. Enumerable.Range(0, MaxOrder)
        .Select(_ => new Dictionary<string, int>(StringComparer.Ordinal))];

    public NgramCounts(string[] words)
    {
        for (int order = 1; order <= MaxOrder; order++)
            for (int start = 0; start + order <= words.Length; start++)
                Raise(counts[order - 1], string.Join(' ', words, start, order), 1);
    }

    /// <summary>For each n-gram the largest count in any of the sentences.</summary>
    public static NgramCounts Most(IEnumerable<NgramCounts> sentences)
    {
        NgramCounts most = new([]);
        foreach (NgramCounts sentence in sentences)
            for (int order = 0; order < MaxOrder; order++)
                foreach ((string run, int count) in sentence.counts[order])
                    most.counts[order][run] = Math.Max(count, most.counts[order].GetValueOrDefault(run));
        return most;
    }

    /// <summary>The n-grams shared with another sentence, each counted at most as often as the other has it.</summary>
    public int Matches(NgramCounts other, int order) =>
        counts[order - 1].Sum(entry => Math.Min(entry.Value, other.counts[order - 1].GetValueOrDefault(entry.Key)));

    private static void Raise(Dictionary<string, int> counts, string run, int by) => counts[run] = counts.GetValueOrDefault(run) + by;
}
