using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Continues a text with a decoder, or answers one that an encoder reads, token by token.</summary>
/// <remarks>An answer ends with the tokenizer's end token, or with the context; a continuation with the end token it is given. Keys and values of past tokens are cached, so that a token costs one position. When the model's context is
/// full, the last half of it is computed afresh, behind the tokens of <see cref="Beginning"/>: continuation goes on for as long as is wished, each token
/// seeing between half and all of a context. Deterministic given the seed. Not thread-safe.</remarks>
/// <param name="model">The model, on <paramref name="device"/>. While text is generated it is in evaluation mode; afterwards in the mode it was in.</param>
/// <param name="tokenizer">The tokenizer the model was trained with.</param>
/// <param name="device">Where the model is.</param>
/// <param name="end">The token that ended documents while a decoder was trained, which ends a continuation; null for none.</param>
/// <param name="beginning">Token ids that a decoder is given before every prompt, such as Llama's <c>&lt;|begin_of_text|&gt;</c>; null for those that the
/// tokenizer itself puts before a text (<see cref="Tokenizer.Frame"/>), as transformers and llama.cpp do. What it puts behind one is left out: the text goes on.</param>
public sealed class TextGenerator(LanguageModel model, Tokenizer tokenizer, Device device, int? end = null, IReadOnlyList<int>? beginning = null)
{
    /// <summary>The token ids that every prompt begins with; none for an encoder-decoder, whose decoder has a beginning of its own.</summary>
    public IReadOnlyList<int> Beginning { get; } = model.Options is EncoderDecoderOptions ? [] : beginning ?? tokenizer.Frame.Before;

    /// <summary>Generates text, and gives it out as soon as it is known.</summary>
    /// <param name="prompt">What to continue, or for an encoder-decoder what to read; with <see cref="Beginning"/> at least one token and at most a whole context.</param>
    /// <param name="options">How much and how; the defaults draw 200 tokens from the whole distribution.</param>
    /// <returns>Pieces of text, the prompt not among them; whole characters only, so there may be fewer pieces than tokens.</returns>
    /// <exception cref="UserException">The prompt is empty, holds what the tokenizer does not know, or is longer than the context.</exception>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    public IEnumerable<string> Stream(string prompt, GenerationOptions? options = null)
    {
        options ??= new GenerationOptions();
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        int[] ids = Encode(prompt);
        return Decode(ReadsSource ? Answer(ids, options) : Continue([.. ids], options, keep: Beginning.Count).TakeWhile(id => id != end));
    }

    /// <summary>Generates token ids.</summary>
    /// <param name="prompt">Ids to continue; at least one and at most a whole context.</param>
    /// <param name="options">How much and how.</param>
    /// <returns>The new ids, one at a time.</returns>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, GenerationOptions options)
    {
        CheckLength(prompt);
        return Continue([.. prompt], options);
    }

    /// <summary>The tokens of a prompt that this model can continue or answer.</summary>
    /// <param name="prompt">A text.</param>
    /// <returns>Its token ids, after those of <see cref="Beginning"/>.</returns>
    /// <exception cref="UserException">The prompt is empty, holds what the tokenizer does not know, or is longer than the context.</exception>
    public int[] Encode(string prompt)
    {
        if (!model.Generates)
            throw new UserException("an encoder reads whole texts and cannot continue one; train a model of architecture 'decoder' or 'encoder-decoder' to generate");
        int[] ids = [.. Beginning, .. tokenizer.Encode(prompt)];
        CheckLength(ids);
        return ReadsSource ? [.. ids, SequenceTokens.Of(tokenizer).End] : ids;
    }

    private bool ReadsSource => model.Options is EncoderDecoderOptions;

    private IEnumerable<int> Answer(int[] source, GenerationOptions options)
    {
        using Tensor tokens = tensor(Array.ConvertAll(source, id => (long)id), [1, source.Length], dtype: ScalarType.Int64);
        using Tensor moved = tokens.to(device);
        SequenceTokens marks = SequenceTokens.Of(tokenizer);
        GenerationOptions within = options with { Tokens = Math.Min(options.Tokens, model.ContextLength) };
        foreach (int id in Continue([marks.Begin], within, source: moved))
        {
            if (id == marks.End) yield break;
            yield return id;
        }
    }

    private IEnumerable<int> Continue(List<int> text, GenerationOptions options, int keep = 0, ModelInput? source = null)
    {
        bool training = model.training;
        model.eval();
        try
        {
            TokenSampler sampler = new(options.Sampling);
            using DecodingSession session = new(model, device, keep, source);
            int known = Math.Min(model.VocabularySize, tokenizer.VocabularySize); // embeddings may be padded to a round number of rows
            for (int generated = 0; generated < options.Tokens; generated++)
            {
                int next = sampler.Sample(session.Next(text)[..known]);
                text.Add(next);
                yield return next;
            }
        }
        finally
        {
            model.train(training);
        }
    }

    private IEnumerable<string> Decode(IEnumerable<int> ids)
    {
        StreamingDecoder decoder = tokenizer.CreateDecoder();
        foreach (int id in ids)
            if (decoder.Push(id) is { Length: > 0 } piece)
                yield return piece;
        if (decoder.Flush() is { Length: > 0 } rest) yield return rest;
    }

    private void CheckLength(IReadOnlyCollection<int> ids)
    {
        if (ids.Count == 0)
            throw new UserException("the prompt is empty: there is nothing to continue; give at least one character");
        if (ids.Count < model.PrefixLength)
            throw new UserException(
                $"the prompt has {ids.Count} tokens, but the model reads a prefix of {model.PrefixLength} together before it writes (attention pattern 'prefix'); give at least {model.PrefixLength} tokens");
        int room = model.ContextLength - (ReadsSource ? 1 : 0); // an encoder reads the end of the text too
        if (ids.Count > room)
            throw new UserException(
                $"the prompt has {ids.Count} tokens, but the model's context holds {room}; " +
                $"shorten the prompt by at least {ids.Count - room} tokens, or train with a larger model.contextLength");
    }
}
