namespace Trainer.Evaluation.Bleu;

/// <summary>What BLEU is made of, summed over sentences.</summary>
internal sealed class BleuStatistics
{
    private readonly long[] matches = new long[NgramCounts.MaxOrder];
    private readonly long[] totals = new long[NgramCounts.MaxOrder];
    private long hypothesisLength;
    private long referenceLength;

    /// <summary>Adds a sentence.</summary>
    public void Add(string[] hypothesis, string[][] references)
    {
        NgramCounts own = new(hypothesis), theirs = NgramCounts.Most(references.Select(words => new NgramCounts(words)));
        for (int order = 1; order <= NgramCounts.MaxOrder; order++)
        {
            matches[order - 1] += own.Matches(theirs, order);
            totals[order - 1] += Math.Max(0, hypothesis.Length - order + 1);
        }
        hypothesisLength += hypothesis.Length;
        referenceLength += references.Select(words => words.Length).OrderBy(length => Math.Abs(length - hypothesis.Length)).ThenBy(length => length).First();
    }

    /// <summary>The geometric mean of the precisions, times the brevity penalty.</summary>
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
