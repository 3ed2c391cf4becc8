// Shapes: B texts, S tokens of the longest source.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Writes a text for each text it reads, with an encoder-decoder: translations, summaries.</summary>
/// <param name="model">An encoder-decoder, on <paramref name="device"/>.</param>
/// <param name="tokenizer">The tokenizer it was trained with; it has a token that ends a text.</param>
/// <param name="device">Where the model is.</param>
public sealed class Translator(LanguageModel model, Tokenizer tokenizer, Device device)
{
    private const int TextsAtOnce = 32;

    private readonly SequenceTokens marks = SequenceTokens.Of(tokenizer);

    /// <summary>Writes the best text for each source. Sources of about equal length are searched side by side.</summary>
    /// <param name="sources">The texts to read; what does not fit the context is refused.</param>
    /// <param name="options">How to search.</param>
    /// <param name="progress">Told how many texts are written.</param>
    /// <returns>One text for each source, in their order.</returns>
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
            var found = search.Search([marks.Begin], SourceRows.Pad([.. indices.Select(index => encoded[index])]).ToInput(device), marks.End);
            for (int i = 0; i < indices.Length; i++) results[indices[i]] = tokenizer.Decode([.. found[i][0].Tokens]);
            progress?.Report(done += indices.Length);
        }
        return results;
    }

    private int[] Encode(string source)
    {
        int[] ids = [.. tokenizer.Encode(source), marks.End];
        if (ids.Length == 1) throw new UserException("the source is empty: there is nothing to read; give at least one character");
        return ids.Length <= model.ContextLength
            ? ids
            : throw new UserException(
                $"the source has {ids.Length} tokens with its end, but the model's context holds {model.ContextLength}; shorten it, or train with a larger model.contextLength");
    }
}
