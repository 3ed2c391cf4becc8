using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation;

/// <summary>Translates texts with known translations and computes BLEU. The <paramref name="special"/> tokens around the texts are a
/// checkpoint's (<see cref="Checkpoint.SequenceTokens"/>); null for the tokenizer's usual ones.</summary>
public sealed class TranslationEvaluator(
    LanguageModel model, Tokenizer tokenizer, Device device, BeamOptions options, SequenceTokens? special = null)
{
    private const int Examples = 4;

    /// <summary>Translates up to <paramref name="most"/> pairs, spread evenly over the rows, without those the context truncates.</summary>
    public TranslationReport Evaluate(IEnumerable<Batch> rows, int most, IProgress<int>? progress = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        (int[] Source, int[] Target)[] all = [.. rows.SelectMany(WholePairs)];
        if (all.Length == 0)
            throw new UserException("no pair of source and target fits the model's context as a whole; there is nothing to translate");
        int count = Math.Min(most, all.Length);
        (int[] Source, int[] Target)[] pairs = [.. Enumerable.Range(0, count).Select(index => all[(long)index * all.Length / count])];
        string[] sources = [.. pairs.Select(pair => tokenizer.Decode(pair.Source))],
            targets = [.. pairs.Select(pair => tokenizer.Decode(pair.Target))];
        IReadOnlyList<string> written = new Translator(model, tokenizer, device, special).Translate(sources, options, progress);
        return new()
        {
            Bleu = CorpusBleu.Score(written, targets),
            CopyBleu = CorpusBleu.Score(sources, targets),
            Pairs = count,
            Beams = options.Beams,
            LengthPenalty = options.LengthPenalty,
            Examples = [.. Enumerable.Range(0, Math.Min(Examples, count))
                .Select(index => (2 * index + 1) * count / (2 * Math.Min(Examples, count)))
                .Select(index => new TranslationExample(sources[index], written[index], targets[index]))],
        };
    }

    private IEnumerable<(int[] Source, int[] Target)> WholePairs(Batch batch)
    {
        SourceRows source = batch.Source ?? throw new ArgumentException("The rows have no source.", nameof(batch));
        SequenceTokens marks = special ?? SequenceTokens.Of(tokenizer);
        for (int row = 0; row < batch.Rows; row++)
        {
            ArraySegment<long> read = new(source.Tokens, row * source.Columns, source.Lengths[row]);
            ArraySegment<long> written = new(batch.Targets, row * batch.Columns, batch.Columns);
            if (read.Count > 1 + marks.Before.Count && read[^1] == marks.End && written.Contains(marks.End))
                yield return (Text(read, marks), Text(written, marks));
        }
    }

    private static int[] Text(IEnumerable<long> ids, SequenceTokens marks) =>
        [.. ids.Where(id => id != Batch.Ignored && !marks.Surrounds((int)id)).Select(id => (int)id)];
}

/// <summary>BLEU of a model's translations.</summary>
public sealed record TranslationReport
{
    /// <summary>BLEU of the model's translations.</summary>
    public required BleuScore Bleu { get; init; }

    /// <summary>BLEU of the sources themselves: what a model that copies scores.</summary>
    public required BleuScore CopyBleu { get; init; }

    /// <summary>How many pairs were translated.</summary>
    public required int Pairs { get; init; }

    /// <summary>Beams of the search.</summary>
    public required int Beams { get; init; }

    /// <summary>The search's length penalty.</summary>
    public required double LengthPenalty { get; init; }

    /// <summary>A few of the translations.</summary>
    public required IReadOnlyList<TranslationExample> Examples { get; init; }
}

/// <summary>A source text, the model's translation and the known one.</summary>
public sealed record TranslationExample(string Source, string Written, string Target);
