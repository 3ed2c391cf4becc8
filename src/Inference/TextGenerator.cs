using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>The settings of generation.</summary>
public sealed record GenerationOptions : IValidated
{
    /// <summary>The most tokens to generate.</summary>
    public int Tokens { get; init; } = 200;

    /// <summary>How each token is drawn.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Tokens < 1) yield return new("tokens", $"tokens ({Tokens}) must be 1 or more");
        foreach (Problem problem in Sampling.Validate()) yield return problem with { Path = $"sampling.{problem.Path}" };
    }
}

/// <summary>Generates text token by token: a decoder continues a prompt, an encoder-decoder answers it.</summary>
/// <remarks>An answer ends with the tokenizer's end token or at the context length; a continuation ends with <paramref name="end"/>. Keys
/// and values of past tokens are cached. When the context is full, its last half is computed afresh behind the tokens of
/// <see cref="Beginning"/>, so a continuation can go on for ever, each token seeing between half and all of a context. Deterministic given
/// the seed. Not thread-safe.</remarks>
/// <param name="model">A model on <paramref name="device"/>; in evaluation mode while it generates.</param>
/// <param name="tokenizer">The tokenizer it was trained with.</param>
/// <param name="device">The model's device.</param>
/// <param name="end">The token that ended documents in a decoder's training and ends a continuation; null for none.</param>
/// <param name="beginning">Token ids that a decoder gets before every prompt, such as Llama's <c>&lt;|begin_of_text|&gt;</c>; null for
/// those that the tokenizer itself adds before a text (<see cref="Tokenizer.Frame"/>), as in transformers and llama.cpp. Those that it adds
/// behind a text are left out, since the text goes on.</param>
public sealed class TextGenerator(
    LanguageModel model, Tokenizer tokenizer, Device device, int? end = null, IReadOnlyList<int>? beginning = null)
{
    /// <summary>Token ids before every prompt; none for an encoder-decoder, whose decoder has its own start token.</summary>
    public IReadOnlyList<int> Beginning { get; } = model.Options is EncoderDecoderOptions ? [] : beginning ?? tokenizer.Frame.Before;

    /// <summary>Generates text in pieces, each available as soon as its token is.</summary>
    /// <param name="prompt">The text to continue, or for an encoder-decoder to answer.</param>
    /// <param name="options">By default, 200 tokens drawn from the whole distribution.</param>
    /// <returns>Pieces without the prompt, in whole characters, so there may be fewer pieces than tokens.</returns>
    /// <exception cref="UserException">The prompt is empty, contains what the tokenizer does not know, or exceeds the context.</exception>
    /// <exception cref="ConfigurationException">An option is out of range.</exception>
    public IEnumerable<string> Stream(string prompt, GenerationOptions? options = null)
    {
        options ??= new GenerationOptions();
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        int[] ids = Encode(prompt);
        return Decode(ReadsSource ? Answer(ids, options) : Continue([.. ids], options, keep: Beginning.Count).TakeWhile(id => id != end));
    }

    /// <summary>Continues a prompt of token ids, at least one and at most a context, one id at a time.</summary>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, GenerationOptions options)
    {
        CheckLength(prompt);
        return Continue([.. prompt], options);
    }

    /// <summary>The token ids of a prompt, after those of <see cref="Beginning"/>.</summary>
    /// <exception cref="UserException">The prompt is empty, contains what the tokenizer does not know, or exceeds the context.</exception>
    public int[] Encode(string prompt)
    {
        if (!model.Generates)
            throw new UserException(
                "an encoder reads whole texts and cannot continue one; "
                + "train a model of architecture 'decoder' or 'encoder-decoder' to generate");
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
            int known = Math.Min(model.VocabularySize, tokenizer.VocabularySize); // embeddings may have padding rows
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
                $"the prompt has {ids.Count} tokens, but the model reads a prefix of {model.PrefixLength} together before it writes "
                + $"(attention pattern 'prefix'); give at least {model.PrefixLength} tokens");
        int room = model.ContextLength - (ReadsSource ? 1 : 0); // an encoder reads the end of the text too
        if (ids.Count > room)
            throw new UserException(
                $"the prompt has {ids.Count} tokens, but the model's context holds {room}; " +
                $"shorten the prompt by at least {ids.Count - room} tokens, or train with a larger model.contextLength");
    }
}

/// <summary>Decodes a text that may outgrow the context; its first <paramref name="keep"/> tokens stay when the context is
/// recomputed.</summary>
internal sealed class DecodingSession(LanguageModel model, Device device, int keep = 0, ModelInput? source = null) : IDisposable
{
    private readonly IDecoder decoder = IDecoder.Create(model, device, sequences: 1, model.ContextLength, source);
    // Half a context always leaves room for the last token too.
    private readonly int kept = Math.Min(keep, Math.Max(0, model.ContextLength / 2 - 1));
    private int length; // of the text in the last call
    private int dropped; // tokens of it that the decoder no longer holds

    /// <summary>The logits (V) of the next token, valid until the next call. The text is the last call's and one more token, or in the
    /// first call at most a context.</summary>
    public ReadOnlySpan<float> Next(List<int> text)
    {
        bool begins = length == 0;
        length = text.Count;
        if (begins) return decoder.Begin(text);
        if (length - dropped <= model.ContextLength) return decoder.Next([text[^1]]);
        // Half a context is recomputed, or the prefix that the model reads together if that is longer.
        dropped = length - Math.Max(model.PrefixLength, model.ContextLength / 2);
        return decoder.Begin([.. text[..kept], .. text[(dropped + kept)..]]);
    }

    public void Dispose() => decoder.Dispose();
}
