using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Trainer.Configuration;
using Trainer.Inference.Serving;

namespace Trainer.Serving;

/// <summary><c>POST /v1/completions</c></summary>
internal sealed class Completions(ServedModel model, ServerOptions options)
{
    private const int DefaultTokens = 16;

    public async Task<IResult> Answer(HttpContext context)
    {
        CompletionRequest request = await Json.ReadAsync<CompletionRequest>(context.Request, context.RequestAborted);
        List<Choice> choices = Begin(request);
        CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        context.Response.RegisterForDispose(ending);
        foreach (Choice choice in choices) context.Response.RegisterForDispose(choice);
        ending.CancelAfter(options.Timeout);
        Reply reply = new($"cmpl-{Guid.NewGuid():N}", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), model.Id);
        if (request.Stream == true)
            return TypedResults.ServerSentEvents(Stream(reply, request, choices, ending.Token));
        try
        {
            CompletionChoice[] texts = await Task.WhenAll(choices.Select(choice => Whole(choice, ending.Token)));
            return TypedResults.Json(reply.With(texts, UsageOf(choices)), Json.Options);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw TookTooLong();
        }
    }

    // All requests are in the queue, or none.
    private List<Choice> Begin(CompletionRequest request)
    {
        model.Require(request.Model);
        GenerationEngine engine = model.Engine
            ?? throw ApiException.BadRequest("the model is an encoder, which continues no text; POST /v1/embeddings embeds one", "model");
        request.CheckAll(model.Tokenizer.VocabularySize);
        Prompts prompts = request.Prompt ?? throw ApiException.BadRequest("prompt is missing; send a text to continue", "prompt");
        int each = request.N ?? 1;
        if ((long)prompts.Count * each > options.MaxChoices)
            throw ApiException.BadRequest(
                $"{prompts.Count} prompts with n = {each} are {(long)prompts.Count * each} texts; this server takes {options.MaxChoices} " +
                "at a time", prompts.Count > each ? "prompt" : "n");
        long seed = request.Seed ?? Random.Shared.NextInt64();
        int texts = prompts.Count * each;
        GenerationRequest[] requests = [.. Enumerable.Range(0, texts).Select(index => model.Request(prompts, index / each) with
        {
            MaxTokens = request.MaxTokens ?? DefaultTokens,
            Sampling = request.Sampling(seed, index),
            FrequencyPenalty = request.FrequencyPenalty ?? 0,
            PresencePenalty = request.PresencePenalty ?? 0,
            LogitBias = request.LogitBias?.ToDictionary(entry => int.Parse(entry.Key), entry => entry.Value) ?? [],
            TopLogProbabilities = request.Logprobs,
        })];
        List<Choice> choices = [];
        try
        {
            foreach (GenerationRequest one in requests)
            {
                string? echo = request.Echo == true ? model.Tokenizer.Decode([.. one.Source ?? one.Prompt]) : null;
                choices.Add(new(
                    choices.Count, one, engine.Generate(one), new(model.Tokenizer.CreateDecoder(), request.Stop ?? []), echo));
            }
            return choices;
        }
        catch (EngineBusyException error)
        {
            foreach (Choice choice in choices) choice.Dispose();
            throw new ApiException(429, error.Message, code: "queue_full");
        }
    }

    private async Task<CompletionChoice> Whole(Choice choice, CancellationToken cancellation)
    {
        StringBuilder text = new();
        List<CompletionLogprobs> logprobs = [];
        string? finish = null;
        await foreach (CompletionChoice part in Parts(choice, cancellation))
        {
            text.Append(part.Text);
            if (part.Logprobs is { } some) logprobs.Add(some);
            finish = part.FinishReason;
        }
        return new(choice.Index, text.ToString())
        {
            FinishReason = finish,
            Logprobs = choice.Request.TopLogProbabilities is null ? null : new(
                [.. logprobs.SelectMany(some => some.Tokens)], [.. logprobs.SelectMany(some => some.TokenLogprobs)],
                [.. logprobs.SelectMany(some => some.TopLogprobs)], [.. logprobs.SelectMany(some => some.TextOffset)]),
        };
    }

    // The pieces of a text: one a token, and the last says why it ends.
    private async IAsyncEnumerable<CompletionChoice> Parts(Choice choice, [EnumeratorCancellation] CancellationToken cancellation)
    {
        int length = 0;
        if (choice.Echo is { } echo)
        {
            yield return new(choice.Index, echo);
            length = echo.Length;
        }
        await foreach (GeneratedToken token in choice.Tokens.WithCancellation(cancellation))
        {
            string piece = token.Id < 0 ? "" : choice.Text.Push(token.Id);
            if (token.Id >= 0) choice.Generated++;
            bool stops = choice.Text.HasStopped;
            if (token.Finish is not null && !stops) piece += choice.Text.Flush();
            yield return new(choice.Index, piece)
            {
                FinishReason = stops ? "stop" : token.Finish?.ToString().ToLowerInvariant(),
                Logprobs = choice.Request.TopLogProbabilities is null || token.Id < 0 ? null : Logprobs(token, length),
            };
            length += piece.Length;
            if (stops) break;
        }
        choice.Dispose();
    }

    private CompletionLogprobs Logprobs(GeneratedToken token, int offset)
    {
        Dictionary<string, double> top = [];
        foreach ((int id, double probability) in token.Alternatives) top.TryAdd(Name(id), probability);
        return new([Name(token.Id)], [token.LogProbability], [top], [offset]);
    }

    private string Name(int id) => Encoding.UTF8.GetString(model.Tokenizer.TokenBytes(id));

    private async IAsyncEnumerable<string> Stream(
        Reply reply, CompletionRequest request, List<Choice> choices, [EnumeratorCancellation] CancellationToken cancellation)
    {
        Channel<string> events = Channel.CreateUnbounded<string>(new() { SingleReader = true });
        Task sending = Task.Run(() => Send(reply, choices, events.Writer, cancellation), CancellationToken.None);
        await foreach (string text in events.Reader.ReadAllAsync(CancellationToken.None)) yield return text;
        await sending;
        if (request.StreamOptions?.IncludeUsage == true) yield return Text(reply.With([], UsageOf(choices)));
        yield return "[DONE]";
    }

    private async Task Send(Reply reply, List<Choice> choices, ChannelWriter<string> events, CancellationToken cancellation)
    {
        try
        {
            await Task.WhenAll(choices.Select(async choice =>
            {
                await foreach (CompletionChoice part in Parts(choice, cancellation))
                    await events.WriteAsync(Text(reply.With([part], null)), cancellation);
            }));
        }
        catch (OperationCanceledException)
        {
            events.TryWrite(Text(TookTooLong().Body)); // or nobody reads it
        }
        catch (UserException error)
        {
            events.TryWrite(Text(new ApiException(500, error.Message).Body));
        }
        finally
        {
            events.Complete();
        }
    }

    private static string Text<T>(T value) => JsonSerializer.Serialize(value, Json.Options);

    private ApiException TookTooLong() =>
        new(504, $"the request took longer than {options.Timeout.TotalSeconds} s, which this server allows", code: "timeout");

    private static Usage UsageOf(List<Choice> choices)
    {
        int prompt = choices.Sum(choice => (choice.Request.Source ?? choice.Request.Prompt).Count);
        int generated = choices.Sum(choice => choice.Generated);
        return new(prompt, generated, prompt + generated);
    }

    private sealed record Reply(string Id, long Created, string Model)
    {
        public CompletionResponse With(IReadOnlyList<CompletionChoice> choices, Usage? usage) =>
            new(Id, "text_completion", Created, Model, choices, usage);
    }

    /// <summary>One text that is being generated.</summary>
    private sealed record Choice(
        int Index, GenerationRequest Request, GenerationStream Tokens, TextAssembler Text, string? Echo) : IDisposable
    {
        public int Generated { get; set; }

        public void Dispose() => Tokens.Dispose();
    }
}
