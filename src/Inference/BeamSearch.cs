// Shapes: B searches, K beams of each, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>The settings of a beam search.</summary>
public sealed record BeamOptions : IValidated
{
    /// <summary>Number of beams; 1 is greedy search.</summary>
    public int Beams { get; init; } = 4;

    /// <summary>α of the length penalty ((5 + length) / 6)^α, the divisor of log probabilities (Wu et al. 2016, arXiv 1609.08144, eq. 14).
    /// 0 prefers short texts, since every token makes a text less likely; Vaswani et al. 2017 use 0.6.</summary>
    public double LengthPenalty { get; init; } = 0.6;

    /// <summary>The most tokens to generate.</summary>
    public int Tokens { get; init; } = 200;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Beams < 1) yield return new("beams", $"beams ({Beams}) must be 1 or more");
        if (!double.IsFinite(LengthPenalty) || LengthPenalty < 0)
            yield return new("lengthPenalty", $"lengthPenalty ({LengthPenalty}) must be 0 or more");
        if (Tokens < 1) yield return new("tokens", $"tokens ({Tokens}) must be 1 or more");
    }

    internal double Penalty(int length) => Math.Pow((5.0 + length) / 6, LengthPenalty);
}

/// <summary>A text found by a beam search: <c>Tokens</c> without prompt and end, <c>LogProbability</c>, the sum in nats over tokens and
/// end, <c>Score</c>, which is that over the length penalty, and <c>Ended</c>, false where the length limit cut it off.</summary>
public sealed record Hypothesis(IReadOnlyList<int> Tokens, double LogProbability, double Score, bool Ended);

/// <summary>Beam search for the most likely texts; many searches run in one batch, and leave it when they are done.
/// <paramref name="vocabulary"/> is the tokenizer's size where embeddings have padding rows; null for the model's.</summary>
public sealed class BeamSearch(LanguageModel model, Device device, BeamOptions options, int? vocabulary = null)
{
    private readonly int vocabulary = Math.Min(model.VocabularySize, vocabulary ?? model.VocabularySize);

    /// <summary>Runs searches that share a prompt of at least one token: one for each row of <paramref name="source"/> (B, S), or one for a
    /// decoder. Returns the texts of each, best first and without the prompt, at most as many as beams.</summary>
    /// <exception cref="UserException">The prompt leaves no room, or the model does not generate.</exception>
    public IReadOnlyList<IReadOnlyList<Hypothesis>> Search(IReadOnlyList<int> prompt, ModelInput? source, int? end)
    {
        int room = model.ContextLength - prompt.Count;
        if (prompt.Count == 0 || room < 1)
            throw new UserException(
                $"the prompt has {prompt.Count} tokens, but it needs at least one and at most {model.ContextLength - 1}, "
                + $"so that the context of {model.ContextLength} has room for another");
        int limit = Math.Min(options.Tokens, room);
        using EvaluationMode mode = EvaluationMode.Of(model);
        return Run(prompt, source, limit, end);
    }

    private IReadOnlyList<IReadOnlyList<Hypothesis>> Run(IReadOnlyList<int> prompt, ModelInput? source, int limit, int? end)
    {
        int searches = source is null ? 1 : (int)source.Tokens.size(0);
        BeamHypotheses[] rows = [.. Enumerable.Range(0, searches).Select(_ => new BeamHypotheses(options, limit, end))];
        using IDecoder decoder = IDecoder.Create(model, device, rows.Length * options.Beams, prompt.Count + limit, source);
        List<BeamHypotheses> active = [.. rows];
        float[] logProbabilities = LogProbabilities(decoder.Begin(prompt));
        while (true)
        {
            List<int> survivors = Advance(active, logProbabilities, out int[] tokens);
            active.RemoveAll(row => row.IsDone);
            if (active.Count == 0) break;
            decoder.Reorder(survivors);
            logProbabilities = LogProbabilities(decoder.Next(tokens));
        }
        return [.. rows.Select(row => row.Found())];
    }

    /// <summary>Advances every search by a token; returns the sequence that each beam continues.</summary>
    private List<int> Advance(List<BeamHypotheses> active, float[] logProbabilities, out int[] tokens)
    {
        List<int> survivors = [];
        List<int> last = [];
        int first = 0;
        foreach (BeamHypotheses row in active)
        {
            int beams = row.Alive.Count;
            int[] from = row.Advance(logProbabilities.AsSpan(first * vocabulary, beams * vocabulary));
            if (!row.IsDone)
            {
                survivors.AddRange(from.Select(beam => first + beam));
                last.AddRange(row.Alive.Select(beam => beam.Token));
            }
            first += beams;
        }
        tokens = [.. last];
        return survivors;
    }

    // (B·K, V)
    private float[] LogProbabilities(ReadOnlySpan<float> logits)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor rows = tensor(logits.ToArray(), [logits.Length / model.VocabularySize, model.VocabularySize]);
        return rows.narrow(-1, 0, vocabulary).log_softmax(-1).contiguous().data<float>().ToArray();
    }
}

internal sealed class BeamHypotheses(BeamOptions options, int limit, int? end)
{
    private readonly List<Hypothesis> ended = [];

    /// <summary>The live beams, most likely first.</summary>
    public IReadOnlyList<Beam> Alive { get; private set; } = [Beam.Empty];

    public bool IsDone { get; private set; }

    /// <summary>Advances by a token, given log p of the next token of each live beam (K, V); returns what each new one continues.</summary>
    public int[] Advance(ReadOnlySpan<float> logProbabilities)
    {
        List<Candidate> best = Best(logProbabilities, logProbabilities.Length / Alive.Count);
        List<(int From, Beam Beam)> next = [];
        for (int rank = 0; rank < best.Count && next.Count < options.Beams; rank++)
        {
            Candidate candidate = best[rank];
            Beam from = Alive[candidate.Beam];
            // An end counts only if it is among the best: otherwise it would crowd out beams that rank above it.
            if (candidate.Token != end) next.Add((candidate.Beam, new(from, candidate.Token, from.Length + 1, candidate.LogProbability)));
            else if (rank < options.Beams) ended.Add(Finished(from.Tokens(), from.Length + 1, candidate.LogProbability, byItself: true));
        }
        Alive = [.. next.Select(entry => entry.Beam)];
        IsDone = Alive.Count == 0 || Alive[0].Length >= limit || CannotImprove();
        return [.. next.Select(entry => entry.From)];
    }

    /// <summary>The texts found, best first; those cut off only if fewer have ended than there are beams.</summary>
    public IReadOnlyList<Hypothesis> Found()
    {
        IEnumerable<Hypothesis> cut = Alive.Select(beam => Finished(beam.Tokens(), beam.Length, beam.LogProbability, byItself: false));
        IEnumerable<Hypothesis> all = ended.Count >= options.Beams ? ended : ended.Concat(cut.Take(options.Beams - ended.Count));
        return [.. all.OrderByDescending(hypothesis => hypothesis.Score).Take(options.Beams)];
    }

    // A log probability only falls: divided by the largest penalty it bounds the score of every continuation.
    private bool CannotImprove()
    {
        if (ended.Count < options.Beams) return false;
        double worst = ended.Select(hypothesis => hypothesis.Score).OrderDescending().ElementAt(options.Beams - 1);
        return Alive[0].LogProbability / options.Penalty(limit) <= worst;
    }

    private Hypothesis Finished(int[] tokens, int length, double logProbability, bool byItself) =>
        new(tokens, logProbability, logProbability / options.Penalty(length), byItself);

    /// <summary>The best 2K candidates, so that K remain even if every beam ends; ties go to the earlier beam and token.</summary>
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
                else if (queue.TryPeek(out _, out var lowest) && order.CompareTo(lowest) > 0)
                    queue.EnqueueDequeue(new(beam, token, total), order);
            }
        }
        List<Candidate> best = [];
        while (queue.TryDequeue(out Candidate candidate, out _)) best.Add(candidate);
        best.Reverse();
        return best;
    }

    private readonly record struct Candidate(int Beam, int Token, double LogProbability);
}

/// <summary>A partial text, linked to the one it continues.</summary>
internal sealed record Beam(Beam? Previous, int Token, int Length, double LogProbability)
{
    public static readonly Beam Empty = new(null, -1, 0, 0);

    public int[] Tokens()
    {
        var tokens = new int[Length];
        for (Beam beam = this; beam.Length > 0; beam = beam.Previous!) tokens[beam.Length - 1] = beam.Token;
        return tokens;
    }
}
