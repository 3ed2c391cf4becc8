using Trainer.Checkpoints;
using Trainer.Checkpoints.Adapters;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Chat;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Inference.Serving;

/// <summary>A checkpoint that is loaded to generate texts for many callers at once: what its prompts begin with, what ends its texts, and
/// the engine that makes them.</summary>
/// <remarks>Thread-safe. It owns the model.</remarks>
public sealed class LoadedModel : IDisposable
{
    private readonly PromptTokens tokens;
    private readonly string? adapter;

    /// <summary>Loads a checkpoint.</summary>
    /// <param name="checkpoint">An encoder's can be loaded, but generates nothing.</param>
    /// <param name="device">Where the model computes.</param>
    /// <param name="precision">Of its matrices.</param>
    /// <param name="options">How many texts at a time; by default 8, and 256 waiting.</param>
    /// <param name="adapters">Adapters of the checkpoint's weights, which are in memory once for all of them; by default none.</param>
    /// <exception cref="UserException">The weights do not fit, the model or device does not support the precision, the chat template
    /// is not valid, or an adapter goes on something else.</exception>
    /// <exception cref="ConfigurationException">The model's decoder does not take so many texts at a time, or two models have one
    /// name.</exception>
    public LoadedModel(
        Checkpoint checkpoint, Device device, InferencePrecision precision = InferencePrecision.Float32, EngineOptions? options = null,
        IReadOnlyList<NamedAdapter>? adapters = null)
    {
        (Name, Tokenizer, Device) = (checkpoint.Configuration.Name, checkpoint.Tokenizer, device);
        (tokens, ChatTemplate) = (PromptTokens.Of(checkpoint), TemplateOf(checkpoint, checkpoint.Directory));
        (NamedAdapter Name, AdapterSource Source)[] opened = [.. NamedAdapter.Opened(adapters ?? [], checkpoint)];
        Model = OwnThread.Run(() => checkpoint.LoadModel(device, precision));
        try
        {
            OwnThread.Run(() =>
            {
                foreach ((NamedAdapter name, AdapterSource source) in opened) source.AddTo(Model, name.Name);
                return true;
            });
            if (Model.Generates) Engine = new(Model, Tokenizer.VocabularySize, device, options);
            Adapters = [.. opened.Select(one => new LoadedModel(this, checkpoint, one.Name, one.Source))];
        }
        catch
        {
            Engine?.Dispose();
            Model.Dispose();
            throw;
        }
    }

    private LoadedModel(LoadedModel original, Checkpoint checkpoint, NamedAdapter named, AdapterSource source)
    {
        (Base, Model, Engine, Tokenizer, Device) = (original, original.Model, original.Engine, original.Tokenizer, original.Device);
        Name = adapter = named.Name;
        tokens = PromptTokens.Of(source.Checkpoint ?? checkpoint);
        ChatTemplate = TemplateOf(checkpoint, source.Checkpoint?.Directory ?? named.Path) ?? original.ChatTemplate;
    }

    /// <summary>Opens a checkpoint's directory or a run's best, else newest.</summary>
    /// <exception cref="UserException">There is none, it is damaged, or it cannot be loaded.</exception>
    /// <exception cref="ConfigurationException">The model's decoder does not take so many texts at a time, or two models have one
    /// name.</exception>
    public static LoadedModel Open(
        string path, DeviceChoice device = DeviceChoice.Auto, InferencePrecision precision = InferencePrecision.Float32,
        EngineOptions? options = null, IReadOnlyList<NamedAdapter>? adapters = null) =>
        new(Checkpoint.Open(path), DeviceSelection.Choose(device), precision, options, adapters);

    /// <summary>The name of its recipe, or of the adapter.</summary>
    public string Name { get; }

    /// <summary>The model with each of its adapters: the same weights and the same engine, with a chat template of its own where the
    /// adapter was trained with one. They end with this one; disposing of them does nothing.</summary>
    public IReadOnlyList<LoadedModel> Adapters { get; } = [];

    /// <summary>The model that this is with an adapter; null where it is none's.</summary>
    public LoadedModel? Base { get; }

    /// <summary>The model, in evaluation mode.</summary>
    public LanguageModel Model { get; }

    /// <summary>How text becomes its tokens.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Where it computes.</summary>
    public Device Device { get; }

    /// <summary>How messages become a prompt; null for a model that was not made for chats.</summary>
    public ChatTemplate? ChatTemplate { get; }

    /// <summary>What generates; null for an encoder.</summary>
    public GenerationEngine? Engine { get; }

    /// <summary>A request to continue or answer a text, without settings.</summary>
    /// <exception cref="EncodingException">The tokenizer cannot encode it.</exception>
    /// <exception cref="PromptException">It is empty, or does not fit into the context.</exception>
    public GenerationRequest Request(string text)
    {
        int[] ids = Tokenizer.Encode(text);
        return Request(ids.Length == 0 || Answers ? ids : [.. tokens.Beginning, .. ids]);
    }

    /// <summary>A request to continue or answer token ids, to which nothing is added but what an encoder-decoder reads around a text.
    /// </summary>
    /// <exception cref="PromptException">There are none, or they do not fit into the context.</exception>
    public GenerationRequest Request(IReadOnlyList<int> ids)
    {
        if (ids.Count == 0) throw PromptException.Empty();
        int[] read = tokens.Special?.Source(ids) ?? [.. ids];
        PromptException.ThrowIfUnfit(Model, read.Length, Model.ContextLength);
        return new()
        {
            Prompt = Answers ? tokens.Beginning : read, Source = Answers ? read : null, ContinuesText = !Answers,
            StopTokens = tokens.Ends, HiddenTokens = tokens.Hidden, Adapter = adapter,
        };
    }

    /// <summary>A request for the next message of a conversation, without settings. What begins the prompt is the template's to write, and
    /// <c>eos_token</c> and the ids in <c>generation_config.json</c> end the message.</summary>
    /// <param name="messages">What was said.</param>
    /// <param name="template">How it becomes a prompt; the checkpoint's if null.</param>
    /// <exception cref="ChatMessagesException">The template refuses the messages.</exception>
    /// <exception cref="EncodingException">The tokenizer cannot encode them.</exception>
    /// <exception cref="PromptException">They are empty, or do not fit into the context.</exception>
    /// <exception cref="UserException">There is no template, it fails, or the model is no decoder.</exception>
    public GenerationRequest ChatRequest(IReadOnlyList<ChatMessage> messages, ChatTemplate? template = null)
    {
        template = RequireTemplate(template);
        int[] ids = ConversationEncoder.EncodePrompt(template, Tokenizer, messages);
        PromptException.ThrowIfUnfit(Model, ids.Length, Model.ContextLength);
        HashSet<int> stops = tokens.ChatEnds;
        if (template.EosToken is { } token && Tokenizer.TokenId(token) is { } endOfMessage) stops = [.. stops, endOfMessage];
        return new() { Prompt = ids, StopTokens = stops, Adapter = adapter };
    }

    /// <summary>Puts a request into the engine's queue.</summary>
    /// <param name="request">What to generate.</param>
    /// <param name="stops">Texts that end it and are not part of it.</param>
    /// <exception cref="EngineBusyException">The queue is full.</exception>
    /// <exception cref="UserException">The model is an encoder.</exception>
    /// <exception cref="ConfigurationException">A sampling option is out of its range.</exception>
    public GeneratedText Generate(GenerationRequest request, IReadOnlyList<string>? stops = null)
    {
        if (Engine is null) throw TextGenerator.WritesNothing();
        return new(request, Engine.Generate(request), Tokenizer.CreateDecoder(request.ContinuesText ? request.Prompt : []), stops ?? []);
    }

    /// <summary>Ends what is being generated, and frees the model.</summary>
    public void Dispose()
    {
        if (Base is not null) return;
        Engine?.Dispose();
        Model.Dispose();
    }

    /// <exception cref="UserException">Neither is one given nor has the model one, or it is no decoder.</exception>
    internal ChatTemplate RequireTemplate(ChatTemplate? given)
    {
        if (Model.Options is not DecoderOptions)
            throw new UserException($"the model '{Name}' is no decoder, and only decoders continue a conversation");
        return given ?? ChatTemplate ?? throw new UserException(
            $"the model '{Name}' has no chat template, so it was not made for chats; give one, or continue a text with TextGenerator");
    }

    private bool Answers => Model.Options is EncoderDecoderOptions;

    // A template writes what a decoder continues; an encoder-decoder answers a text.
    private static ChatTemplate? TemplateOf(Checkpoint checkpoint, string directory) =>
        checkpoint.Model is DecoderOptions ? ChatTemplateFile.Load(directory) : null;

    /// <summary>What texts that the model continues or answers begin with, and what ends its texts and its messages; <c>Special</c> are an
    /// encoder-decoder's tokens.</summary>
    private sealed record PromptTokens(IReadOnlyList<int> Beginning, HashSet<int> Ends, HashSet<int> ChatEnds, SequenceTokens? Special)
    {
        public HashSet<int> Hidden { get; } = [.. Special?.Before ?? []];

        public static PromptTokens Of(Checkpoint checkpoint)
        {
            Tokenizer tokenizer = checkpoint.Tokenizer;
            SequenceTokens? special = checkpoint.Model is EncoderDecoderOptions
                ? checkpoint.SequenceTokens ?? SequenceTokens.Of(tokenizer) // which says what is missing
                : null;
            int? end = special is null ? EndOfText.Of(tokenizer, checkpoint.Configuration.Data.EndOfDocument) : special.End;
            HashSet<int> ends = end is { } id ? [id] : [];
            return new(special?.Prompt ?? tokenizer.Template.Before, ends, [.. ends, .. checkpoint.EndTokens], special);
        }
    }
}
