using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Inference.Chat;
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
internal sealed class ServedModel : IDisposable
{
    private readonly IReadOnlyList<int> beginning;
    private readonly HashSet<int> ends, chatEnds;

    public ServedModel(Checkpoint checkpoint, Device device, InferencePrecision precision, EngineOptions engine)
    {
        (Id, Tokenizer) = (checkpoint.Configuration.Name, checkpoint.Tokenizer);
        Created = new DateTimeOffset(Directory.GetCreationTimeUtc(checkpoint.Directory)).ToUnixTimeSeconds();
        Model = checkpoint.LoadModel(device, precision);
        Device = device;
        beginning = Model.Options is EncoderDecoderOptions ? [SequenceTokens.Of(Tokenizer).Begin] : Tokenizer.Template.Before;
        int? end = Model.Options is EncoderDecoderOptions
            ? SequenceTokens.Of(Tokenizer).End
            : EndOfText.Of(Tokenizer, checkpoint.Configuration.Data.EndOfDocument);
        ends = end is { } id ? [id] : [];
        // A template writes what a decoder continues; an encoder-decoder answers a text.
        Chat = Model.Options is DecoderOptions ? ChatTemplate.Load(checkpoint.Directory) : null;
        chatEnds = [.. ends, .. checkpoint.EndTokens];
        if (Chat?.EosToken is { } token && Tokenizer.TokenId(token) is { } endOfMessage) chatEnds.Add(endOfMessage);
        if (Model.Generates) Engine = new(Model, Tokenizer.VocabularySize, device, engine);
    }

    /// <summary>The name of its recipe.</summary>
    public string Id { get; }

    /// <summary>When it was written, in seconds since 1970.</summary>
    public long Created { get; }

    public LanguageModel Model { get; }

    /// <summary>What the page shows.</summary>
    public ModelInfo Info => new(
        Id, Engine is null ? "embedding" : Chat is null ? "completion" : "chat",
        FormattableString.Invariant($"{Architecture}, {Model.parameters().Sum(weight => weight.numel()):N0} parameters, ") +
        $"{Model.ContextLength} tokens of context");

    public Tokenizer Tokenizer { get; }

    public Device Device { get; }

    private string Architecture => Model.Options switch
    {
        EncoderOptions => "encoder",
        EncoderDecoderOptions => "encoder-decoder",
        _ => "decoder",
    };

    /// <summary>What generates; null for an encoder.</summary>
    public GenerationEngine? Engine { get; }

    /// <exception cref="ApiException">It is another model that is asked for.</exception>
    public void Require(string? model)
    {
        if (model is not null && model != Id)
            throw new ApiException(404, $"there is no model '{model}' here; this server has '{Id}'", "model", "model_not_found");
    }

    /// <summary>How messages become a prompt; null for a model that was not made for chats.</summary>
    public ChatTemplate? Chat { get; }

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
        int[] ids = prompts.Ids is { } given ? Checked(given[index], path) : Encode(prompts.Texts![index], path);
        bool answers = Model.Options is EncoderDecoderOptions;
        int[] read = answers ? [.. ids, .. ends] : prompts.Ids is null ? [.. beginning, .. ids] : ids;
        if (ids.Length == 0) throw ApiException.BadRequest($"{path} is empty: there is nothing to continue", path);
        Fitting(read, path);
        return new() { Prompt = answers ? beginning : read, Source = answers ? read : null, StopTokens = ends };
    }

    /// <summary>The engine's request for a rendered conversation, without settings: the template has written what begins it.</summary>
    /// <exception cref="ApiException">It exceeds the context.</exception>
    public GenerationRequest ChatRequest(string conversation)
    {
        int[] ids = Encode(conversation, "messages");
        if (ids.Length == 0) throw ApiException.BadRequest("the messages are empty", "messages");
        return new() { Prompt = Fitting(ids, "messages"), StopTokens = chatEnds };
    }

    public void Dispose()
    {
        Engine?.Dispose();
        Model.Dispose();
    }

    private int[] Encode(string text, string path)
    {
        try
        {
            return Tokenizer.Encode(text);
        }
        catch (EncodingException error)
        {
            throw ApiException.BadRequest(error.Message, path);
        }
    }

    private int[] Fitting(int[] read, string path)
    {
        if (read.Length < Model.PrefixLength)
            throw ApiException.BadRequest(
                $"{path} has {read.Length} tokens, and the model reads a prefix of {Model.PrefixLength} together; send at least as many",
                path);
        return read.Length <= Model.ContextLength ? read : throw ApiException.BadRequest(
            $"{path} has {read.Length} tokens, and the model's context holds {Model.ContextLength}; shorten it by at least " +
            $"{read.Length - Model.ContextLength}", path, "context_length_exceeded");
    }

    private int[] Checked(int[] ids, string path)
    {
        int wrong = Array.FindIndex(ids, id => id < 0 || id >= Tokenizer.VocabularySize);
        return wrong < 0 ? ids : throw ApiException.BadRequest(
            $"{path}[{wrong}] ({ids[wrong]}) must be a token id, 0 to {Tokenizer.VocabularySize - 1}", $"{path}[{wrong}]");
    }
}
