using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Inference.Serving;
using Trainer.Models.Devices;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Trainer.Inference;

/// <summary>Talks with a model of this process through <see cref="IChatClient"/> of Microsoft.Extensions.AI.</summary>
/// <remarks>Thread-safe: requests of many callers run side by side (<see cref="GenerationEngine"/>), and each gets the text that it would
/// get alone. A request's time ends with its cancellation token. Options that the model cannot honour, such as tools or a JSON schema, are
/// errors that name them.</remarks>
public sealed class TrainerChatClient : IChatClient
{
    /// <summary>What <see cref="ChatClientMetadata.ProviderName"/> is.</summary>
    public const string ProviderName = "trainer";

    private readonly LoadedModel model;
    private readonly ChatTemplate template;
    private readonly ChatClientMetadata metadata;
    private bool ownsModel;

    /// <summary>Talks with a model that was loaded, and stays when the client is disposed of.</summary>
    /// <param name="model">A decoder.</param>
    /// <param name="template">How messages become a prompt; the model's own if null.</param>
    /// <exception cref="UserException">The model is no decoder, or there is no template.</exception>
    public TrainerChatClient(LoadedModel model, ChatTemplate? template = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        (this.model, this.template) = (model, model.RequireTemplate(template));
        metadata = new(ProviderName, defaultModelId: model.Name);
    }

    /// <summary>Opens a checkpoint's directory or a run's best, else newest.</summary>
    /// <param name="path">Of either.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="precision">Of its matrices.</param>
    /// <param name="template">How messages become a prompt; the checkpoint's own if null.</param>
    /// <exception cref="UserException">There is no checkpoint, it is damaged, it is not of a decoder, or there is no template.</exception>
    public static TrainerChatClient Open(
        string path, DeviceChoice device = DeviceChoice.Auto, InferencePrecision precision = InferencePrecision.Float32,
        ChatTemplate? template = null)
    {
        LoadedModel model = LoadedModel.Open(path, device, precision);
        try
        {
            return new(model, template) { ownsModel = true };
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ConfigurationException">Options are out of range or cannot be honoured; all are named.</exception>
    /// <exception cref="UserException">A message is not text, the template refuses the messages, they exceed the context, or the queue is
    /// full (<see cref="EngineBusyException"/>).</exception>
    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="ConfigurationException">Options are out of range or cannot be honoured; all are named.</exception>
    /// <exception cref="UserException">A message is not text, the template refuses the messages, they exceed the context, or the queue is
    /// full (<see cref="EngineBusyException"/>).</exception>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        options ??= new();
        Problem[] problems = [.. Problems(options)];
        if (problems.Length > 0) throw new ConfigurationException(problems, nameof(ChatOptions));
        GenerationRequest request = Request([.. messages], options);
        return Stream(request, [.. options.StopSequences ?? []], cancellationToken);
    }

    /// <summary>The client itself, its <see cref="ChatClientMetadata"/>, or the <see cref="LoadedModel"/> behind it.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? metadata
            : serviceType == typeof(LoadedModel) ? model
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <summary>Frees the model that <see cref="Open"/> loaded; one that was given stays.</summary>
    public void Dispose()
    {
        if (ownsModel) model.Dispose();
    }

    private async IAsyncEnumerable<ChatResponseUpdate> Stream(
        GenerationRequest request, IReadOnlyList<string> stops, [EnumeratorCancellation] CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        string id = $"chatcmpl-{Guid.NewGuid():N}";
        DateTimeOffset created = DateTimeOffset.UtcNow;
        using GeneratedText text = model.Generate(request, stops);
        await foreach (TextPiece piece in text.WithCancellation(cancellation))
        {
            if (piece.Text.Length == 0 && piece.Finish is null) continue;
            List<AIContent> contents = piece.Text.Length > 0 ? [new TextContent(piece.Text)] : [];
            if (piece.Finish is not null) contents.Add(new UsageContent(UsageOf(text)));
            yield return new(ChatRole.Assistant, contents)
            {
                ResponseId = id,
                MessageId = id,
                ModelId = model.Name,
                CreatedAt = created,
                FinishReason = piece.Finish switch
                {
                    null => null,
                    FinishReason.Stop => ChatFinishReason.Stop,
                    _ => ChatFinishReason.Length,
                },
            };
        }
    }

    private GenerationRequest Request(IReadOnlyList<ChatMessage> messages, ChatOptions options)
    {
        if (messages.Count == 0) throw new UserException("there are no messages to answer; give at least one");
        List<Data.Chat.ChatMessage> conversation = [.. messages.Select(Of)];
        if (!string.IsNullOrEmpty(options.Instructions)) conversation.Insert(0, new("system", options.Instructions));
        return model.ChatRequest(conversation, template) with
        {
            Sampling = SamplingOf(options),
            MaxTokens = options.MaxOutputTokens ?? int.MaxValue,
            FrequencyPenalty = options.FrequencyPenalty ?? 0,
            PresencePenalty = options.PresencePenalty ?? 0,
        };
    }

    private static Data.Chat.ChatMessage Of(ChatMessage message, int index)
    {
        if (message.Contents.FirstOrDefault(content => content is not TextContent) is { } other)
            throw new UserException($"message {index} has a {other.GetType().Name}, and the model reads text alone; leave it out");
        // OpenAI's newer name of the system's role, which templates do not know.
        return new(message.Role.Value == "developer" ? "system" : message.Role.Value, message.Text);
    }

    private static SamplingOptions SamplingOf(ChatOptions options) => new()
    {
        Temperature = options.Temperature ?? 1,
        TopP = options.TopP,
        TopK = options.TopK,
        Seed = options.Seed ?? Random.Shared.NextInt64(),
    };

    private IEnumerable<Problem> Problems(ChatOptions options)
    {
        foreach (Problem problem in SamplingOf(options).Validate()) yield return problem with { Path = Pascal(problem.Path) };
        if (options.MaxOutputTokens < 1)
            yield return new(nameof(options.MaxOutputTokens), $"{options.MaxOutputTokens} must be 1 or more; leave it out for the context");
        if (options.FrequencyPenalty is { } frequency and not (>= -2 and <= 2))
            yield return new(nameof(options.FrequencyPenalty), FormattableString.Invariant($"{frequency} must be -2 to 2"));
        if (options.PresencePenalty is { } presence and not (>= -2 and <= 2))
            yield return new(nameof(options.PresencePenalty), FormattableString.Invariant($"{presence} must be -2 to 2"));
        if (options.StopSequences?.Any(string.IsNullOrEmpty) == true)
            yield return new(nameof(options.StopSequences), "one of them is empty, and would end every text; leave it out");
        if (options.ModelId is { } wanted && wanted != model.Name)
            yield return new(nameof(options.ModelId), $"there is no model '{wanted}' here; this client has '{model.Name}'");
        foreach ((bool asked, string name, string reason) in Unsupported(options))
            if (asked) yield return new(name, reason);
    }

    private static IEnumerable<(bool Asked, string Name, string Reason)> Unsupported(ChatOptions options) =>
    [
        (options.Tools is { Count: > 0 }, nameof(options.Tools), "the model calls no tools; leave them out"),
        (options.ToolMode is RequiredChatToolMode, nameof(options.ToolMode), "the model calls no tools; leave it out"),
        (options.ResponseFormat is not (null or ChatResponseFormatText), nameof(options.ResponseFormat),
            "the model writes text alone; leave it out, and ask for JSON in a message"),
        (options.Reasoning is not null, nameof(options.Reasoning), "the model's reasoning cannot be set; leave it out"),
        (options.ConversationId is not null, nameof(options.ConversationId), "no conversation is kept; give all messages each time"),
        (options.AllowBackgroundResponses == true, nameof(options.AllowBackgroundResponses), "nothing is answered in the background"),
        (options.ContinuationToken is not null, nameof(options.ContinuationToken), "nothing is answered in the background"),
        (options.RawRepresentationFactory is not null, nameof(options.RawRepresentationFactory), "there is no other form of the options"),
        (options.AdditionalProperties is { Count: > 0 }, nameof(options.AdditionalProperties),
            $"none is known: {string.Join(", ", options.AdditionalProperties?.Keys ?? [])}"),
    ];

    private static string Pascal(string name) => char.ToUpperInvariant(name[0]) + name[1..];

    private static UsageDetails UsageOf(GeneratedText text) => new()
    {
        InputTokenCount = text.PromptTokens,
        OutputTokenCount = text.Tokens,
        TotalTokenCount = text.PromptTokens + text.Tokens,
        CachedInputTokenCount = text.SharedTokens,
    };
}
