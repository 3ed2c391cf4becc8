namespace Trainer.Evaluation.Perplexity;

/// <summary>What the model is given at once, and which of its predictions count.</summary>
/// <param name="First">The index in the text of its first token; the one before the text where that is the beginning token.</param>
/// <param name="Length">How many tokens the model is given.</param>
/// <param name="Scored">How many of its last predictions count: those that no earlier window made.</param>
/// <param name="Begins">Whether its first token is the beginning token and not the text's.</param>
internal readonly record struct ScoringWindow(long First, int Length, int Scored, bool Begins)
{
    /// <summary>Cuts a sequence into windows whose scored tokens are all of it behind the prefix, each once.</summary>
    /// <param name="start">The index in the text of its first token.</param>
    /// <param name="length">Its tokens.</param>
    /// <param name="options">Window, stride and beginning.</param>
    public static IEnumerable<ScoringWindow> Of(long start, long length, PerplexityOptions options)
    {
        bool beginning = options.Beginning is not null;
        // Counted with the beginning token, if there is one: the model is given all but the last, and predicts all but the first.
        if (beginning) (start, length) = (start - 1, length + 1);
        long predictions = length - 1;
        for (long from = 0, scored = options.Prefix - 1; scored < predictions; from += options.Stride)
        {
            int given = (int)Math.Min(options.Window, predictions - from);
            yield return new(start + from, given, (int)(from + given - scored), beginning && (from == 0 || options.Beginning!.EveryWindow));
            scored = from + given;
        }
    }
}
