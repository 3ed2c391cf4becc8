using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Data.Chat;
using Trainer.Inference.Serving;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Serving;

/// <summary>What the page shows of a model.</summary>
/// <param name="Model">Its id.</param>
/// <param name="Kind"><c>completion</c>, <c>chat</c> or <c>embedding</c>.</param>
/// <param name="Description">Its architecture and size, to be read.</param>
/// <param name="Adapters">The same of each adapter; null for none.</param>
internal sealed record ModelInfo(string Model, string Kind, string Description, IReadOnlyList<ModelInfo>? Adapters = null);

/// <summary>The models that are served: one, and its adapters.</summary>
internal sealed class ServedModels(Checkpoint checkpoint, Device device, InferencePrecision precision, ServerOptions options) : IDisposable
{
    private readonly LoadedModel loaded = new(checkpoint, device, precision, options.Engine, options.Adapters);
    private ServedModel[]? all;

    /// <summary>The model without an adapter, which answers requests that name none.</summary>
    public ServedModel Base => All[0];

    /// <summary>All, the base first.</summary>
    public IReadOnlyList<ServedModel> All => all ??=
    [
        new(loaded, checkpoint.Directory),
        .. loaded.Adapters.Zip(options.Adapters, (adapter, named) => new ServedModel(adapter, named.Path)),
    ];

    /// <summary>What the page shows.</summary>
    public ModelInfo Info => Base.Info with { Adapters = All.Count == 1 ? null : [.. All.Skip(1).Select(adapter => adapter.Info)] };

    /// <summary>The model that a request names.</summary>
    /// <exception cref="ApiException">It is not served.</exception>
    public ServedModel Find(string? name) =>
        name is null ? Base : All.FirstOrDefault(model => model.Id == name) ?? throw new ApiException(
            404, $"there is no model '{name}' here; this server has {string.Join(", ", All.Select(model => $"'{model.Id}'"))}", "model",
            "model_not_found");

    public void Dispose() => loaded.Dispose();
}

/// <summary>A checkpoint that is served, or an adapter of one.</summary>
/// <param name="loaded">The model; its owner disposes it.</param>
/// <param name="path">Where it was read.</param>
internal sealed class ServedModel(LoadedModel loaded, string path)
{
    /// <summary>The name of its recipe, or of the adapter.</summary>
    public string Id => loaded.Name;

    /// <summary>As <c>/v1/models</c> lists it, with the time when it was written, in seconds since 1970.</summary>
    public ModelEntry Entry { get; } = new(
        loaded.Name, "model", new DateTimeOffset(Directory.GetCreationTimeUtc(path)).ToUnixTimeSeconds(), "trainer", loaded.Base?.Name);

    public LanguageModel Model => loaded.Model;

    /// <summary>What the page shows.</summary>
    public ModelInfo Info => new(
        Id, Engine is null ? "embedding" : Chat is null ? "completion" : "chat",
        (loaded.Base is { } original ? $"adapter of {original.Name}, " : "") +
        FormattableString.Invariant($"{Architecture}, {Model.parameters().Sum(weight => weight.numel()):N0} parameters, ") +
        $"{Model.ContextLength} tokens of context");

    public Tokenizer Tokenizer => loaded.Tokenizer;

    public Device Device => loaded.Device;

    private string Architecture => Model.Options switch
    {
        EncoderOptions => "encoder",
        EncoderDecoderOptions => "encoder-decoder",
        _ => "decoder",
    };

    /// <summary>What generates; null for an encoder.</summary>
    public GenerationEngine? Engine => loaded.Engine;

    /// <summary>How messages become a prompt; null for a model that was not made for chats.</summary>
    public ChatTemplate? Chat => loaded.ChatTemplate;

    /// <exception cref="ApiException">It is an encoder.</exception>
    public void RequireGeneration()
    {
        if (Engine is null)
            throw ApiException.BadRequest("the model is an encoder, which continues no text; POST /v1/embeddings embeds one", "model");
    }

    /// <summary>A token as text; one that is part of a character as OpenAI writes it, <c>bytes:\xE4</c>.</summary>
    public string Name(int id)
    {
        ReadOnlySpan<byte> bytes = Tokenizer.TokenBytes(id);
        if (Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        StringBuilder name = new("bytes:");
        foreach (byte one in bytes) name.Append(CultureInfo.InvariantCulture, $"\\x{one:X2}");
        return name.ToString();
    }

    /// <summary>The engine's request for a prompt, without settings.</summary>
    /// <param name="prompts">The prompts of a request.</param>
    /// <param name="index">Which of them.</param>
    /// <exception cref="ApiException">It cannot be encoded, is empty, or exceeds the context.</exception>
    public GenerationRequest Request(Prompts prompts, int index)
    {
        string path = prompts.Count == 1 ? "prompt" : $"prompt[{index}]";
        return Named(path, $"{path} is empty: there is nothing to continue", () => prompts.Ids is { } ids
            ? loaded.Request(Checked(ids[index], path))
            : loaded.Request(prompts.Texts![index]));
    }

    /// <summary>The engine's request for the next message of a conversation, without settings.</summary>
    /// <exception cref="ApiException">The template refuses the messages, or they exceed the context.</exception>
    public GenerationRequest ChatRequest(IReadOnlyList<ChatMessage> messages)
    {
        const string path = "messages";
        try
        {
            return Named(path, "the messages are empty", () => loaded.ChatRequest(messages));
        }
        catch (UserException error)
        {
            throw ApiException.BadRequest($"the model's chat template refuses the messages: {error.Message}", path);
        }
    }

    /// <summary>Puts a request into the queue.</summary>
    /// <exception cref="EngineBusyException">The queue is full.</exception>
    public GeneratedText Generate(GenerationRequest request, IReadOnlyList<string> stops) => loaded.Generate(request, stops);

    private static GenerationRequest Named(string path, string empty, Func<GenerationRequest> request)
    {
        try
        {
            return request();
        }
        catch (EncodingException error)
        {
            throw ApiException.BadRequest(error.Message, path);
        }
        catch (PromptException error)
        {
            throw error.Fault switch
            {
                PromptFault.Empty => ApiException.BadRequest(empty, path),
                PromptFault.ShorterThanPrefix => ApiException.BadRequest(
                    $"{path} has {error.Tokens} tokens, and the model reads a prefix of {error.Limit} together; send at least as many",
                    path),
                _ => ApiException.BadRequest(
                    $"{path} has {error.Tokens} tokens, and the model's context holds {error.Limit}; shorten it by at least " +
                    $"{error.Tokens - error.Limit}", path, "context_length_exceeded"),
            };
        }
    }

    private int[] Checked(int[] ids, string path)
    {
        int wrong = Array.FindIndex(ids, id => id < 0 || id >= Tokenizer.VocabularySize);
        return wrong < 0 ? ids : throw ApiException.BadRequest(
            $"{path}[{wrong}] ({ids[wrong]}) must be a token id, 0 to {Tokenizer.VocabularySize - 1}", $"{path}[{wrong}]");
    }
}
