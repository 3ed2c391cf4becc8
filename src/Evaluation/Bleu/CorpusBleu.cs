namespace Trainer.Evaluation.Bleu;

/// <summary>BLEU of translations (Papineni et al. 2002), with the results of sacrebleu (Post 2018, arXiv 1804.08771).</summary>
/// <remarks>N-grams and lengths are summed over the corpus before anything is divided: it is no mean of sentence scores.</remarks>
public static class CorpusBleu
{
    /// <summary>Scores translations.</summary>
    /// <param name="hypotheses">The translations, a sentence each.</param>
    /// <param name="references">One or more translations of the whole corpus by people, each as long as <paramref name="hypotheses"/>.</param>
    /// <param name="options">How; the defaults are sacrebleu's.</param>
    /// <returns>The score and its parts.</returns>
    /// <exception cref="ArgumentException">There is no sentence or no reference, or their numbers differ.</exception>
    public static BleuScore Score(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, BleuOptions? options = null)
    {
        options ??= new BleuOptions();
        Require(hypotheses, references);
        BleuStatistics statistics = new();
        for (int sentence = 0; sentence < hypotheses.Count; sentence++)
            statistics.Add(Words(hypotheses[sentence], options), [.. references.Select(reference => Words(reference[sentence], options))]);
        return statistics.Score(options, options.Signature(references.Count));
    }

    /// <summary>Scores translations against one reference each.</summary>
    /// <inheritdoc cref="Score(IReadOnlyList{string}, IReadOnlyList{IReadOnlyList{string}}, BleuOptions)"/>
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
                throw new ArgumentException($"a reference has {reference.Count} sentences, but there are {hypotheses.Count} hypotheses", nameof(references));
    }
}
