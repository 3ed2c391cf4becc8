namespace Trainer.Evaluation.Bleu;

/// <summary>How often each run of one to four words occurs in a sentence.</summary>
internal sealed class NgramCounts
{
    /// <summary>The longest run, in words.</summary>
    public const int MaxOrder = 4;

    // Words hold no white space, so that runs joined by spaces are equal only where their words are.
    private readonly Dictionary<string, int>[] counts = [.. Enumerable.Range(0, MaxOrder).Select(_ => new Dictionary<string, int>(StringComparer.Ordinal))];

    /// <summary>Counts a sentence.</summary>
    public NgramCounts(string[] words)
    {
        for (int order = 1; order <= MaxOrder; order++)
            for (int start = 0; start + order <= words.Length; start++)
                Raise(counts[order - 1], string.Join(' ', words, start, order), 1);
    }

    /// <summary>For each run the most that any of the sentences has of it.</summary>
    public static NgramCounts Most(IEnumerable<NgramCounts> sentences)
    {
        NgramCounts most = new([]);
        foreach (NgramCounts sentence in sentences)
            for (int order = 0; order < MaxOrder; order++)
                foreach ((string run, int count) in sentence.counts[order])
                    most.counts[order][run] = Math.Max(count, most.counts[order].GetValueOrDefault(run));
        return most;
    }

    /// <summary>How many runs of a length this sentence shares with another, each at most as often as the other has it.</summary>
    /// <param name="other">The other sentence.</param>
    /// <param name="order">Words of a run, 1 to 4.</param>
    public int Matches(NgramCounts other, int order) =>
        counts[order - 1].Sum(entry => Math.Min(entry.Value, other.counts[order - 1].GetValueOrDefault(entry.Key)));

    private static void Raise(Dictionary<string, int> counts, string run, int by) => counts[run] = counts.GetValueOrDefault(run) + by;
}
