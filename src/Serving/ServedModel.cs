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
internal sealed record ModelInfo(string Model, string Kind, string Description);

/// <summary>A checkpoint that is served.</summary>
internal sealed class ServedModel(Checkpoint checkpoint, Device device, InferencePrecision precision, EngineOptions engine) : IDisposable
{
    private readonly LoadedModel loaded = new(checkpoint, device, precision, engine);

    /// <summary>The name of its recipe.</summary>
    public string Id => loaded.Name;

    /// <summary>When it was written, in seconds since 1970.</summary>
    public long Created { get; } = new DateTimeOffset(Directory.GetCreationTimeUtc(checkpoint.Directory)).ToUnixTimeSeconds();

    public LanguageModel Model => loaded.Model;

    /// <summary>What the page shows.</summary>
    public ModelInfo Info => new(
        Id, Engine is null ? "embedding" : Chat is null ? "completion" : "chat",
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

    /// <exception cref="ApiException">It is another model that is asked for.</exception>
    public void Require(string? model)
    {
        if (model is not null && model != Id)
            throw new ApiException(404, $"there is no model '{model}' here; this server has '{Id}'", "model", "model_not_found");
    }

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

    public void Dispose() => loaded.Dispose();

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
