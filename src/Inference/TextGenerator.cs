using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Devices;
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
/// <remarks>An answer ends with the tokenizer's end token or at the context length, a continuation with <paramref name="end"/>, the token
/// that ended documents in training, if there is one. When the context is full, its last half is recomputed behind <see cref="Beginning"/>,
/// so a continuation can go on for ever. With <paramref name="chat"/>, every prompt is what a user says, and is answered; an answer ends
/// with any of <paramref name="messageEnds"/>, too (<see cref="Checkpoint.EndTokens"/>). The <paramref name="special"/> tokens around what
/// an encoder-decoder reads and writes are a checkpoint's <see cref="Checkpoint.SequenceTokens"/>, or without them the tokenizer's usual
/// ones. Deterministic given the seed; not thread-safe.</remarks>
public sealed class TextGenerator(
    LanguageModel model, Tokenizer tokenizer, Device device, int? end = null, IReadOnlyList<int>? beginning = null,
    ChatTemplate? chat = null, IReadOnlyCollection<int>? messageEnds = null, SequenceTokens? special = null) : IDisposable
{
    private bool ownsModel;

    /// <summary>Opens a checkpoint's directory or a run's best, else newest, to generate as the command <c>generate</c> does.</summary>
    /// <exception cref="UserException">There is none, it is damaged, or it does not fit the device.</exception>
    public static TextGenerator Open(
        string path, DeviceChoice device = DeviceChoice.Auto, InferencePrecision precision = InferencePrecision.Float32)
    {
        Checkpoint checkpoint = Checkpoint.Open(path);
        Device chosen = DeviceSelection.Choose(device);
        int? end = EndOfText.Of(checkpoint.Tokenizer, checkpoint.Configuration.Data.EndOfDocument);
        LanguageModel model = checkpoint.LoadModel(chosen, precision);
        return new(model, checkpoint.Tokenizer, chosen, end, messageEnds: checkpoint.EndTokens, special: checkpoint.SequenceTokens)
        {
            ownsModel = true,
        };
    }

    /// <summary>Ids before every prompt, by default the tokenizer's own (<see cref="Tokenizer.Template"/>), as in transformers and
    /// llama.cpp; none for an encoder-decoder, whose decoder has its own start token.</summary>
    public IReadOnlyList<int> Beginning { get; } = model.Options is EncoderDecoderOptions ? [] : beginning ?? tokenizer.Template.Before;

    /// <summary>Generates text, without the prompt.</summary>
    /// <exception cref="UserException">The prompt is empty, contains what the tokenizer does not know, or exceeds the context.</exception>
    /// <exception cref="ConfigurationException">An option is out of range.</exception>
    public string Generate(string prompt, GenerationOptions? options = null) => string.Concat(Stream(prompt, options));

    /// <summary>Generates text in pieces of whole characters, without the prompt, each as soon as it is known.</summary>
    /// <exception cref="UserException">The prompt is empty, contains what the tokenizer does not know, or exceeds the context.</exception>
    /// <exception cref="ConfigurationException">An option is out of range.</exception>
    public IEnumerable<string> Stream(string prompt, GenerationOptions? options = null)
    {
        if (chat is not null) return Answer([new("user", prompt)], chat, options);
        options ??= new GenerationOptions();
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        int[] ids = Encode(prompt);
        return ReadsSource
            ? Decode(Translate(ids, options))
            : Decode(Continue([.. ids], options, keep: Beginning.Count).TakeWhile(id => id != end), before: ids);
    }

    /// <summary>Answers a conversation in pieces of whole characters, up to the template's end of a turn or the context's.</summary>
    /// <exception cref="ChatMessagesException">The template refuses the messages.</exception>
    /// <exception cref="UserException">The model is no decoder, or the messages cannot be encoded or exceed the context.</exception>
    /// <exception cref="ConfigurationException">An option is out of range.</exception>
    public IEnumerable<string> Answer(IReadOnlyList<ChatMessage> messages, ChatTemplate template, GenerationOptions? options = null)
    {
        options ??= new GenerationOptions();
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        int[] ids = EncodeChat(messages, template);
        HashSet<int> ends = [.. messageEnds ?? []];
        if (end is { } endOfText) ends.Add(endOfText);
        if (template.EosToken is { } token && tokenizer.TokenId(token) is { } endOfTurn) ends.Add(endOfTurn);
        GenerationOptions within = options with { Tokens = Math.Min(options.Tokens, model.ContextLength - ids.Length + 1) };
        return Decode(Continue([.. ids], within).TakeWhile(id => !ends.Contains(id)));
    }

    /// <summary>The ids of a conversation that is to be answered; throws as <see cref="Answer"/> does.</summary>
    internal int[] EncodeChat(IReadOnlyList<ChatMessage> messages, ChatTemplate template)
    {
        if (model.Options is not DecoderOptions)
            throw new UserException("the model is no decoder, and only decoders continue a conversation");
        int[] ids = ConversationEncoder.EncodePrompt(template, tokenizer, messages);
        CheckLength(ids);
        return ids;
    }

    /// <summary>Continues a prompt of token ids, at least one and at most a context, one id at a time.</summary>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, GenerationOptions options)
    {
        CheckLength(prompt);
        return Continue([.. prompt], options);
    }

    /// <summary>The ids of a prompt behind <see cref="Beginning"/>; throws as <see cref="Stream"/> does.</summary>
    public int[] Encode(string prompt)
    {
        if (chat is not null) return EncodeChat([new("user", prompt)], chat);
        if (!model.Generates) throw WritesNothing();
        int[] ids = [.. Beginning, .. tokenizer.Encode(prompt)];
        CheckLength(ids);
        return ReadsSource ? Marks.Source(ids) : ids;
    }

    internal static UserException WritesNothing() => new(
        "an encoder reads whole texts and cannot continue one; train a model of architecture 'decoder' or 'encoder-decoder' to generate");

    /// <summary>Frees the model that <see cref="Open"/> loaded; one that was given stays.</summary>
    public void Dispose()
    {
        if (ownsModel) model.Dispose();
    }

    private bool ReadsSource => model.Options is EncoderDecoderOptions;

    private SequenceTokens Marks => special ?? SequenceTokens.Of(tokenizer);

    private IEnumerable<int> Translate(int[] source, GenerationOptions options)
    {
        using Tensor tokens = tensor(Array.ConvertAll(source, id => (long)id), [1, source.Length], dtype: ScalarType.Int64);
        using Tensor moved = tokens.to(device);
        SequenceTokens marks = Marks;
        GenerationOptions within = options with { Tokens = Math.Min(options.Tokens, model.ContextLength + 1 - marks.Prompt.Count) };
        foreach (int id in Continue([.. marks.Prompt], within, source: moved))
        {
            if (id == marks.End) yield break;
            if (!marks.Surrounds(id)) yield return id;
        }
    }

    private IEnumerable<int> Continue(List<int> text, GenerationOptions options, int keep = 0, ModelInput? source = null)
    {
        using EvaluationMode mode = EvaluationMode.Of(model);
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

    private IEnumerable<string> Decode(IEnumerable<int> ids, int[]? before = null)
    {
        StreamingDecoder decoder = tokenizer.CreateDecoder(before ?? []);
        foreach (int id in ids)
            if (decoder.Push(id) is { Length: > 0 } piece)
                yield return piece;
        if (decoder.Flush() is { Length: > 0 } rest) yield return rest;
    }

    // An encoder reads the special tokens around the text too.
    private void CheckLength(IReadOnlyCollection<int> ids) => PromptException.ThrowIfUnfit(
        model, ids.Count, model.ContextLength - (ReadsSource ? 1 + (special?.Before.Count ?? 0) : 0));
}

/// <summary>Decodes a text that may outgrow the context; recomputing it keeps its first <paramref name="keep"/> tokens.</summary>
internal sealed class DecodingSession(LanguageModel model, Device device, int keep = 0, ModelInput? source = null) : IDisposable
{
    private readonly IDecoder decoder = IDecoder.Create(model, device, sequences: 1, model.ContextLength, source);
    // Half a context always leaves room for the last token too.
    private readonly int kept = Math.Min(keep, Math.Max(0, model.ContextLength / 2 - 1));
    private int length; // of the text in the last call
    private int dropped; // tokens of it that the decoder no longer holds

    /// <summary>The logits (V) of the next token, valid until the next call. Each text is the last and one more token.</summary>
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
