using System.ComponentModel;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Trainer.Data.Chat;
using Trainer.Inference.Serving;

namespace Trainer.Serving;

/// <summary><c>POST /v1/chat/completions</c></summary>
internal sealed class Chats(ServedModels models, ServerOptions options)
{
    private readonly TextAnswers answers = new(options);

    public async Task<IResult> Answer(HttpContext context)
    {
        ChatRequest request = await Json.ReadAsync<ChatRequest>(context.Request, context.RequestAborted);
        ServedModel model = models.Find(request.Model);
        List<TextTask> tasks = answers.Begin(model, Requests(model, request), request.Stop ?? []);
        return await answers.Answer(context, request, tasks, new Format(model, request.Logprobs == true));
    }

    private GenerationRequest[] Requests(ServedModel model, ChatRequest request)
    {
        model.RequireGeneration();
        if (model.Chat is null)
            throw ApiException.BadRequest(
                "the model has no chat template, so it was not made for chats; POST /v1/completions continues a text", "model");
        request.CheckAll(model.Tokenizer.VocabularySize);
        int count = request.N ?? 1;
        if (count > options.MaxChoices)
            throw ApiException.BadRequest($"n ({count}) must be 1 to {options.MaxChoices} on this server", "n");
        if (request.Messages is not { Count: > 0 } messages)
            throw ApiException.BadRequest("messages is missing or empty; send at least one", "messages");
        GenerationRequest prompt = model.ChatRequest([.. messages.Select((message, index) => message is null
            ? throw ApiException.BadRequest($"messages[{index}] is null; send an object with role and content", $"messages[{index}]")
            : message.ToTemplate(index))]);
        long seed = request.Seed ?? Random.Shared.NextInt64();
        return [.. Enumerable.Range(0, count).Select(index => request.ApplyTo(prompt, seed, index) with
        {
            MaxTokens = request.MaxCompletionTokens ?? request.MaxTokens ?? int.MaxValue,
            TopLogProbabilities = request.Logprobs == true ? request.TopLogprobs ?? 0 : null,
        })];
    }

    private sealed class Format(ServedModel model, bool tellsLogprobs) : ITextFormat
    {
        private readonly string id = $"chatcmpl-{Guid.NewGuid():N}";
        private readonly long created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

        public IEnumerable<object> Beginning(int texts) =>
            Enumerable.Range(0, texts).Select(index => Chunk([new(index) { Delta = new("assistant", "") }], null));

        public object Event(TextPart part) => Chunk(
            [
                new(part.Index)
                {
                    Delta = new(null, part.Text.Length > 0 || part.Finish is null ? part.Text : null),
                    FinishReason = part.FinishName,
                    Logprobs = tellsLogprobs ? Logprobs([part]) : null,
                },
            ], null);

        public object End(Usage usage) => Chunk([], usage);

        public object Whole(IReadOnlyList<IReadOnlyList<TextPart>> texts, Usage usage) => new ChatResponse(
            id, "chat.completion", created, model.Id,
            [.. texts.Select(parts => new ChatChoice(parts[0].Index)
            {
                Message = new("assistant", string.Concat(parts.Select(part => part.Text))),
                FinishReason = parts[^1].FinishName,
                Logprobs = tellsLogprobs ? Logprobs(parts) : null,
            })],
            usage);

        private ChatResponse Chunk(IReadOnlyList<ChatChoice> choices, Usage? usage) =>
            new(id, "chat.completion.chunk", created, model.Id, choices, usage);

        private ChatLogprobs Logprobs(IReadOnlyList<TextPart> parts) => new(
            [.. from part in parts where part.Token is not null select Of(part.Token!.Value)]);

        private ChatToken Of(GeneratedToken token) => Of(token.Id, token.LogProbability) with
        {
            TopLogprobs = [.. token.Alternatives.Select(other => Of(other.Id, other.LogProbability))],
        };

        private ChatToken Of(int id, double probability) =>
            new(model.Name(id), probability, [.. model.Tokenizer.TokenBytes(id).ToArray().Select(one => (int)one)]);
    }
}

/// <summary>A request for the next message of a conversation.</summary>
internal sealed record ChatRequest : SamplingRequest
{
    [Description("The conversation so far.")]
    public IReadOnlyList<ChatInput?>? Messages { get; init; }

    [Description("The most tokens to generate; by default as many as the context has room for.")]
    public int? MaxCompletionTokens { get; init; }

    [Description("The former name of max_completion_tokens.")]
    public int? MaxTokens { get; init; }

    [Description("Whether to report the log-probability of each token.")]
    public bool? Logprobs { get; init; }

    [Description("How many of the most likely tokens to report for each token, at most 20.")]
    public int? TopLogprobs { get; init; }

    /// <exception cref="ApiException">A value is out of its range.</exception>
    public void CheckAll(int vocabulary)
    {
        Check(vocabulary);
        Require(MaxTokens is null or >= 1, "max_tokens", MaxTokens, "1 or more");
        Require(MaxCompletionTokens is null or >= 1, "max_completion_tokens", MaxCompletionTokens, "1 or more");
        Require(TopLogprobs is null or (>= 0 and <= 20), "top_logprobs", TopLogprobs, "0 to 20");
        if (TopLogprobs is not null && Logprobs != true)
            throw ApiException.BadRequest("top_logprobs are for logprobs: true", "top_logprobs");
    }
}

/// <summary>A message of a conversation: its content is a text, or parts of one.</summary>
internal sealed record ChatInput
{
    [Description("system, developer, user or assistant, or what else the model's template knows.")]
    public string? Role { get; init; }

    [Description("A text, or a list of { type: text, text }.")]
    public JsonElement Content { get; init; }

    /// <exception cref="ApiException">It has no role, or its content is no text.</exception>
    public ChatMessage ToTemplate(int index)
    {
        if (string.IsNullOrEmpty(Role))
            throw ApiException.BadRequest($"messages[{index}].role is missing", $"messages[{index}].role");
        // OpenAI's newer name of the system's role, which templates do not know.
        return new(Role == "developer" ? "system" : Role, Text($"messages[{index}].content"));
    }

    private string Text(string path)
    {
        try
        {
            return Text(path, Content);
        }
        catch (InvalidOperationException) // GetString's
        {
            throw ApiException.BadRequest($"{path} holds half of a surrogate pair, which is no character; remove it", path);
        }
    }

    private static string Text(string path, JsonElement content)
    {
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        if (content.ValueKind != JsonValueKind.Array) throw Refused(path);
        StringBuilder text = new();
        foreach (JsonElement part in content.EnumerateArray())
        {
            if (part.ValueKind != JsonValueKind.Object || !part.TryGetProperty("type", out JsonElement type)
                || type.ValueKind != JsonValueKind.String || type.GetString() != "text"
                || !part.TryGetProperty("text", out JsonElement piece) || piece.ValueKind != JsonValueKind.String)
                throw Refused(path);
            text.Append(piece.GetString());
        }
        return text.ToString();
    }

    private static ApiException Refused(string path) =>
        ApiException.BadRequest($"{path} must be a text, or a list of parts of type text; the model reads nothing else", path);
}

/// <summary>The answer to a request for a message, or an event of one.</summary>
internal sealed record ChatResponse(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, Usage? Usage);

/// <summary>One message, whole or in pieces.</summary>
internal sealed record ChatChoice(int Index)
{
    public ChatOutput? Message { get; init; }

    public ChatOutput? Delta { get; init; }

    public ChatLogprobs? Logprobs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }
}

/// <summary>A message, or a piece of one.</summary>
internal sealed record ChatOutput(string? Role, string? Content);

/// <summary>The log-probabilities of a message's tokens.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<ChatToken> Content);

/// <summary>A token, with its bytes.</summary>
internal sealed record ChatToken(string Token, double Logprob, IReadOnlyList<int> Bytes)
{
    public IReadOnlyList<ChatToken>? TopLogprobs { get; init; }
}
