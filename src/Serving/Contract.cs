// OpenAI's requests and answers (https://platform.openai.com/docs/api-reference), as far as they are served.
using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Inference;
using Trainer.Inference.Serving;

namespace Trainer.Serving;

/// <summary>The fields that completions and chats share.</summary>
internal abstract record SamplingRequest
{
    [Description("The model's id, as /v1/models lists it.")]
    public string? Model { get; init; }

    [Description("Divides the logits: below 1 sharper, above 1 flatter, 0 greedy.")]
    public double? Temperature { get; init; }

    [Description("Draws only from the most likely tokens that together have this probability.")]
    public double? TopP { get; init; }

    [Description("Draws only from the k most likely tokens; not OpenAI's, but common.")]
    public int? TopK { get; init; }

    [Description("Subtracted from a token's logit for each time that it was generated, −2 to 2.")]
    public double? FrequencyPenalty { get; init; }

    [Description("Subtracted from a token's logit once it was generated, −2 to 2.")]
    public double? PresencePenalty { get; init; }

    [Description("Added to the logits of tokens, by id, −100 to 100.")]
    public Dictionary<string, double>? LogitBias { get; init; }

    [Description("How many texts to generate for each prompt, 1 by default.")]
    public int? N { get; init; }

    [Description("The same seed and request give the same text; drawn when it is left out.")]
    public long? Seed { get; init; }

    [Description("Up to 4 texts that end the generation, and are not part of it.")]
    [JsonConverter(typeof(StopConverter))]
    public IReadOnlyList<string>? Stop { get; init; }

    [Description("Whether to send tokens as they are made, as server-sent events.")]
    public bool? Stream { get; init; }

    public StreamOptions? StreamOptions { get; init; }

    [Description("Who asks; it is not used.")]
    public string? User { get; init; }

    /// <summary>Puts these settings on the request of one of the texts, each of which has a seed of its own.</summary>
    /// <exception cref="ApiException">A value is out of its range.</exception>
    public GenerationRequest ApplyTo(GenerationRequest request, long seed, int index)
    {
        SamplingOptions sampling = new()
        {
            Temperature = Temperature ?? 1, TopP = TopP, TopK = TopK, Seed = unchecked(seed + index),
        };
        foreach (Problem problem in sampling.Validate())
        {
            string name = JsonNamingPolicy.SnakeCaseLower.ConvertName(problem.Path);
            throw ApiException.BadRequest(problem.Message.Replace(problem.Path, name), name);
        }
        return request with
        {
            Sampling = sampling,
            FrequencyPenalty = FrequencyPenalty ?? 0,
            PresencePenalty = PresencePenalty ?? 0,
            // Nobody sees a whole answer before its end, but its stops must be.
            StreamInterval = Stream == true ? 1 : Stop is { Count: > 0 } ? 16 : int.MaxValue,
            LogitBias = LogitBias?.ToDictionary(entry => int.Parse(entry.Key, CultureInfo.InvariantCulture), entry => entry.Value) ?? [],
        };
    }

    /// <summary>Checks what is the same for all texts.</summary>
    /// <exception cref="ApiException">A value is out of its range.</exception>
    public void Check(int vocabulary)
    {
        Require(N is null or (>= 1 and <= 128), "n", N, "1 to 128");
        Require(FrequencyPenalty is null or (>= -2 and <= 2), "frequency_penalty", FrequencyPenalty, "-2 to 2");
        Require(PresencePenalty is null or (>= -2 and <= 2), "presence_penalty", PresencePenalty, "-2 to 2");
        Require(Stop is null or { Count: <= 4 }, "stop", Stop?.Count, "at most 4 texts");
        for (int i = 0; i < Stop?.Count; i++)
            Require(!string.IsNullOrEmpty(Stop[i]), $"stop[{i}]", Stop[i] is null ? "null" : "\"\"", "a text that is not empty");
        if (StreamOptions is not null && Stream is not true)
            throw ApiException.BadRequest("stream_options are for stream: true", "stream_options");
        foreach ((string token, double bias) in LogitBias ?? [])
        {
            bool isId = int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out int id);
            Require(isId && id < vocabulary && (token.Length == 1 || token[0] != '0'), $"logit_bias.{token}", token,
                $"a token id, 0 to {vocabulary - 1}");
            Require(bias is >= -100 and <= 100, $"logit_bias.{token}", bias, "-100 to 100");
        }
    }

    protected static void Require(bool holds, string path, object? value, string allowed)
    {
        if (!holds)
            throw ApiException.BadRequest(FormattableString.Invariant($"{path} ({value}) must be {allowed}"), path);
    }
}

/// <summary>A request for completions.</summary>
internal sealed record CompletionRequest : SamplingRequest
{
    [Description("A text, several, the token ids of one, or of several.")]
    public Prompts? Prompt { get; init; }

    [Description("The most tokens to generate, 16 by default.")]
    public int? MaxTokens { get; init; }

    [Description("How many of the most likely tokens to report for each token, at most 20.")]
    public int? Logprobs { get; init; }

    [Description("Whether the prompt begins the text.")]
    public bool? Echo { get; init; }

    [Description("Only as many as n: every text is sent.")]
    public int? BestOf { get; init; }

    [Description("Only null: a decoder does not read what comes behind.")]
    public string? Suffix { get; init; }

    /// <exception cref="ApiException">A value is out of its range.</exception>
    public void CheckAll(int vocabulary)
    {
        Check(vocabulary);
        Require(MaxTokens is null or >= 1, "max_tokens", MaxTokens, "1 or more");
        Require(Logprobs is null or (>= 0 and <= 20), "logprobs", Logprobs, "0 to 20");
        Require(BestOf is null || BestOf == (N ?? 1), "best_of", BestOf, "left out, or the same as n");
        Require(string.IsNullOrEmpty(Suffix), "suffix", Suffix, "left out: a decoder does not read what comes behind");
    }
}

/// <summary>How a stream ends.</summary>
internal sealed record StreamOptions
{
    [Description("Whether the last event before [DONE] has the usage.")]
    public bool? IncludeUsage { get; init; }
}

/// <summary>The prompts of a request: texts, or token ids.</summary>
[JsonConverter(typeof(PromptsConverter))]
internal sealed record Prompts(IReadOnlyList<string>? Texts, IReadOnlyList<int[]>? Ids)
{
    public int Count => Texts?.Count ?? Ids!.Count;
}

/// <summary>The answer to a request for completions, or an event of one.</summary>
internal sealed record CompletionResponse(
    string Id, string Object, long Created, string Model, IReadOnlyList<CompletionChoice> Choices, Usage? Usage);

/// <summary>One text.</summary>
internal sealed record CompletionChoice(int Index, string Text)
{
    public CompletionLogprobs? Logprobs { get; init; }

    // OpenAI's clients read it where it is null.
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }
}

/// <summary>The log-probabilities of a text's tokens.</summary>
internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<double> TokenLogprobs, IReadOnlyList<Dictionary<string, double>> TopLogprobs,
    IReadOnlyList<int> TextOffset);

/// <summary>What a request cost.</summary>
internal sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens)
{
    /// <summary>Of a generated text.</summary>
    public PromptTokensDetails? PromptTokensDetails { get; init; }
}

/// <summary>Tokens of the prompt that earlier prompts began with, too, and that needed no reading.</summary>
internal sealed record PromptTokensDetails(int CachedTokens);

/// <summary>The models that are served.</summary>
internal sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

/// <summary>A model that is served; its parent is the model whose adapter it is, as in vLLM.</summary>
internal sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy, string? Parent);

/// <summary>A text or a list of texts.</summary>
internal sealed class StopConverter : JsonConverter<IReadOnlyList<string>>
{
    public override IReadOnlyList<string>? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String ? [reader.GetString()!] : JsonSerializer.Deserialize<string[]>(ref reader, options);

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options) =>
        JsonSerializer.Serialize(writer, value.ToArray(), options);
}

/// <summary>A text, a list of texts, a list of ids, or a list of lists of ids.</summary>
internal sealed class PromptsConverter : JsonConverter<Prompts>
{
    public override Prompts? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String) return new([reader.GetString()!], null);
        JsonElement json = JsonElement.ParseValue(ref reader);
        if (json.ValueKind == JsonValueKind.Array && json.GetArrayLength() > 0)
        {
            JsonElement[] items = [.. json.EnumerateArray()];
            if (items.All(item => item.ValueKind == JsonValueKind.String)) return new([.. items.Select(item => item.GetString()!)], null);
            if (Ids(json) is { } ids) return new(null, [ids]);
            int[]?[] lists = [.. items.Select(Ids)];
            if (lists.All(list => list is not null)) return new(null, lists!);
        }
        throw new JsonException("a prompt is a text, a list of texts, a list of token ids, or a list of lists of token ids");
    }

    public override void Write(Utf8JsonWriter writer, Prompts value, JsonSerializerOptions options) =>
        JsonSerializer.Serialize(writer, (object?)value.Texts ?? value.Ids, options);

    private static int[]? Ids(JsonElement list)
    {
        if (list.ValueKind != JsonValueKind.Array) return null;
        List<int> ids = [];
        foreach (JsonElement item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out int id)) return null;
            ids.Add(id);
        }
        return [.. ids];
    }
}
