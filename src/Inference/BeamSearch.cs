// Shapes: B searches, K beams of each, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Searches the most likely texts, following several beginnings at once; many searches side by side.</summary>
/// <remarks>Searches that are done leave the batch. With one beam it is greedy search.</remarks>
/// <param name="model">A model that generates, on <paramref name="device"/>; in evaluation mode meanwhile, then in the mode it was in.</param>
/// <param name="device">Where the model is.</param>
/// <param name="options">How many beams, and how long.</param>
/// <param name="vocabulary">How many tokens there are texts for: embeddings may be padded to a round number of rows. null: as many as the model has.</param>
public sealed class BeamSearch(LanguageModel model, Device device, BeamOptions options, int? vocabulary = null)
{
    private readonly int vocabulary = Math.Min(model.VocabularySize, vocabulary ?? model.VocabularySize);

    /// <summary>Runs searches that all begin with the same tokens.</summary>
    /// <param name="prompt">Token ids that every text begins with, at least one; not part of the result.</param>
    /// <param name="source">What an encoder reads (B, S), one row for each search; null for a decoder alone, which runs one search.</param>
    /// <param name="end">The token that ends a text; null where texts only end at their greatest length.</param>
    /// <returns>For each search its texts, the best first, at most as many as beams.</returns>
    /// <exception cref="UserException">The prompt leaves no room, or the model does not generate.</exception>
    public IReadOnlyList<IReadOnlyList<Hypothesis>> Search(IReadOnlyList<int> prompt, ModelInput? source, int? end)
    {
        int room = model.ContextLength - prompt.Count;
        if (prompt.Count == 0 || room < 1)
            throw new UserException($"the prompt has {prompt.Count} tokens, but it needs at least one and at most {model.ContextLength - 1}, so that the context of {model.ContextLength} has room for another");
        int limit = Math.Min(options.Tokens, room);
        bool training = model.training;
        model.eval();
        try
        {
            return Run(prompt, source, limit, end);
        }
        finally
        {
            model.train(training);
        }
    }

    private IReadOnlyList<IReadOnlyList<Hypothesis>> Run(IReadOnlyList<int> prompt, ModelInput? source, int limit, int? end)
    {
        BeamRow[] rows = [.. Enumerable.Range(0, source is null ? 1 : (int)source.Tokens.size(0)).Select(_ => new BeamRow(options, limit, end))];
        using IDecoder decoder = IDecoder.Create(model, device, rows.Length * options.Beams, prompt.Count + limit, source);
        List<BeamRow> active = [.. rows];
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

    /// <summary>Takes one step of every search.</summary>
    /// <returns>For each beam that is followed from now on the sequence it continues.</returns>
    private List<int> Advance(List<BeamRow> active, float[] logProbabilities, out int[] tokens)
    {
        List<int> survivors = [];
        List<int> last = [];
        int first = 0;
        foreach (BeamRow row in active)
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
