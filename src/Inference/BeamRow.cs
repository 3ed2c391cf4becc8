namespace Trainer.Inference;

/// <summary>The search for one text: the beginnings that are followed, and what has ended.</summary>
internal sealed class BeamRow(BeamOptions options, int limit, int? end)
{
    private readonly List<Hypothesis> ended = [];

    /// <summary>The beginnings that are followed, the most likely one first.</summary>
    public IReadOnlyList<Beam> Alive { get; private set; } = [Beam.Empty];

    /// <summary>Whether nothing better can be found.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Takes one step.</summary>
    /// <param name="logProbabilities">log p of the next token of each beginning, V numbers each.</param>
    /// <returns>For each beginning that is followed from now on the one it continues.</returns>
    public int[] Advance(ReadOnlySpan<float> logProbabilities)
    {
        List<Candidate> best = Best(logProbabilities, logProbabilities.Length / Alive.Count);
        List<(int From, Beam Beam)> next = [];
        for (int rank = 0; rank < best.Count && next.Count < options.Beams; rank++)
        {
            Candidate candidate = best[rank];
            Beam from = Alive[candidate.Beam];
            // An end counts only if it is among the best: else it would crowd out what it ranks behind.
            if (candidate.Token != end) next.Add((candidate.Beam, new(from, candidate.Token, from.Length + 1, candidate.LogProbability)));
            else if (rank < options.Beams) ended.Add(Finished(from.Tokens(), from.Length + 1, candidate.LogProbability, byItself: true));
        }
        Alive = [.. next.Select(entry => entry.Beam)];
        IsDone = Alive.Count == 0 || Alive[0].Length >= limit || CannotImprove();
        return [.. next.Select(entry => entry.From)];
    }

    /// <summary>What was found, the best first; texts that were cut off only where fewer have ended than were asked for.</summary>
    public IReadOnlyList<Hypothesis> Found()
    {
        IEnumerable<Hypothesis> cut = Alive.Select(beam => Finished(beam.Tokens(), beam.Length, beam.LogProbability, byItself: false));
        IEnumerable<Hypothesis> all = ended.Count >= options.Beams ? ended : ended.Concat(cut.Take(options.Beams - ended.Count));
        return [.. all.OrderByDescending(hypothesis => hypothesis.Score).Take(options.Beams)];
    }

    // A log probability only falls; divided by the penalty of the longest text it is the most that can still come of it.
    private bool CannotImprove()
    {
        if (ended.Count < options.Beams) return false;
        double worst = ended.Select(hypothesis => hypothesis.Score).OrderDescending().ElementAt(options.Beams - 1);
        return Alive[0].LogProbability / options.Penalty(limit) <= worst;
    }

    private Hypothesis Finished(int[] tokens, int length, double logProbability, bool byItself) =>
        new(tokens, logProbability, logProbability / options.Penalty(length), byItself);

    /// <summary>Twice as many as beams, so that as many remain when every beam ends; ties go to the earlier beam and token.</summary>
    private List<Candidate> Best(ReadOnlySpan<float> logProbabilities, int vocabulary)
    {
        int count = Math.Min(2 * options.Beams, logProbabilities.Length);
        PriorityQueue<Candidate, (double, long)> queue = new(count + 1);
        for (int beam = 0; beam < Alive.Count; beam++)
        {
            ReadOnlySpan<float> row = logProbabilities.Slice(beam * vocabulary, vocabulary);
            for (int token = 0; token < vocabulary; token++)
            {
                double total = Alive[beam].LogProbability + row[token];
                var order = (total, -((long)beam * vocabulary + token));
                if (queue.Count < count) queue.Enqueue(new(beam, token, total), order);
                else if (queue.TryPeek(out _, out var lowest) && order.CompareTo(lowest) > 0) queue.EnqueueDequeue(new(beam, token, total), order);
            }
        }
        List<Candidate> best = [];
        while (queue.TryDequeue(out Candidate candidate, out _)) best.Add(candidate);
        best.Reverse();
        return best;
    }

    private readonly record struct Candidate(int Beam, int Token, double LogProbability);
}
