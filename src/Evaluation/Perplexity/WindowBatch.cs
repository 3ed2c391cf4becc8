// Shapes: B windows, T tokens of the longest.
using Trainer.Data;

namespace Trainer.Evaluation.Perplexity;

/// <summary>Windows that are computed together.</summary>
/// <param name="Rows">The batch; what is not scored is no target.</param>
/// <param name="From">The first column in which anything is scored.</param>
internal sealed record WindowBatch(Batch Rows, int From)
{
    /// <summary>Windows are sorted by length within as many batches as this, so that rows of one batch need little padding.</summary>
    private const int SortedTogether = 64;

    /// <summary>All windows of a text, in batches.</summary>
    /// <param name="text">The text.</param>
    /// <param name="options">How it is cut.</param>
    /// <param name="rows">The most windows of a batch.</param>
    public static IEnumerable<WindowBatch> All(TokenText text, PerplexityOptions options, int rows) =>
        text.Sequences(options.Documents)
            .SelectMany(sequence => ScoringWindow.Of(sequence.Start, sequence.Length, options))
            .Chunk(rows * SortedTogether)
            .SelectMany(some => some.OrderByDescending(window => window.Length).Chunk(rows))
            .Select(windows => Read(text, windows, options.Beginning));

    // Padding stands behind the text, where no causal model sees it, and is no target.
    private static WindowBatch Read(TokenText text, ScoringWindow[] windows, BeginningOfSequence? beginning)
    {
        int columns = windows.Max(window => window.Length);
        long[] inputs = new long[windows.Length * columns]; // (B, T)
        long[] targets = new long[windows.Length * columns]; // (B, T)
        Array.Fill(targets, Batch.Ignored);
        long[] tokens = new long[columns + 1];
        for (int row = 0; row < windows.Length; row++)
        {
            ScoringWindow window = windows[row];
            int own = window.Begins ? 1 : 0; // the beginning token is not in the text
            text.Read(window.First + own, tokens.AsSpan(own, window.Length + 1 - own));
            if (window.Begins) tokens[0] = beginning!.Token;
            tokens.AsSpan(0, window.Length).CopyTo(inputs.AsSpan(row * columns));
            int seen = window.Length - window.Scored;
            tokens.AsSpan(seen + 1, window.Scored).CopyTo(targets.AsSpan(row * columns + seen));
        }
        return new(new Batch(inputs, targets, windows.Length, columns), windows.Min(window => window.Length - window.Scored));
    }
}
