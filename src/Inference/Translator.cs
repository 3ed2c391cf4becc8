// Shapes: B texts, S tokens of the longest source.
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Generates a text for each source text with an encoder-decoder, whose tokenizer has an end token. The
/// <paramref name="special"/> tokens around texts are a checkpoint's <see cref="Checkpoint.SequenceTokens"/>; null for the tokenizer's
/// usual ones.</summary>
public sealed class Translator(LanguageModel model, Tokenizer tokenizer, Device device, SequenceTokens? special = null)
{
    private const int TextsAtOnce = 32;

    private readonly SequenceTokens marks = special ?? SequenceTokens.Of(tokenizer);

    /// <summary>Generates the best text for each source, in order. Sources of similar length are searched in one batch.</summary>
    /// <exception cref="UserException">A source is empty, or longer than the context.</exception>
    public IReadOnlyList<string> Translate(IReadOnlyList<string> sources, BeamOptions options, IProgress<int>? progress = null)
    {
        int[][] encoded = [.. sources.Select(Encode)];
        var results = new string[sources.Count];
        BeamSearch search = new(model, device, options, tokenizer.VocabularySize);
        int done = 0;
        foreach (int[] indices in Enumerable.Range(0, sources.Count).OrderBy(index => encoded[index].Length).Chunk(TextsAtOnce))
        {
            using DisposeScope scope = NewDisposeScope();
            ModelInput source = SourceRows.Pad([.. indices.Select(index => encoded[index])]).ToInput(device);
            var found = search.Search(marks.Prompt, source, marks.End);
            for (int i = 0; i < indices.Length; i++) results[indices[i]] = Text(found[i][0].Tokens);
            progress?.Report(done += indices.Length);
        }
        return results;
    }

    private string Text(IEnumerable<int> ids) => tokenizer.Decode([.. ids.Where(id => !marks.Surrounds(id))]);

    private int[] Encode(string source)
    {
        int[] text = tokenizer.Encode(source), ids = marks.Source(text);
        if (text.Length == 0) throw new UserException("the source is empty: there is nothing to read; give at least one character");
        return ids.Length <= model.ContextLength
            ? ids
            : throw new UserException(
                $"the source has {ids.Length} tokens with those around it, but the model's context holds {model.ContextLength}; shorten it, "
                + "or train with a larger model.contextLength");
    }
}
