using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Trainer.Inference.Serving;

namespace Trainer.Serving;

/// <summary>One of a request's texts.</summary>
internal sealed class TextTask(int index, GeneratedText text, string? echo) : IDisposable
{
    public GeneratedText Text => text;

    /// <summary>The pieces of the text: one a token, and the last says why it ends.</summary>
    public async IAsyncEnumerable<TextPart> Parts([EnumeratorCancellation] CancellationToken cancellation)
    {
        int length = 0;
        if (echo is not null)
        {
            yield return new(index, echo, null, 0, null);
            length = echo.Length;
        }
        await foreach (TextPiece piece in text.WithCancellation(cancellation))
        {
            yield return new(index, piece.Text, piece.Token, length + piece.Held, piece.Finish);
            length += piece.Text.Length;
        }
    }

    public void Dispose() => text.Dispose();
}

/// <summary>A piece of a text.</summary>
/// <param name="Index">Which of the request's texts.</param>
/// <param name="Text">May be empty: a character that is not whole, or what may be the beginning of a stop.</param>
/// <param name="Token">The token behind it; null for an echoed prompt and for the end.</param>
/// <param name="Offset">Where the token's own text begins in the whole.</param>
/// <param name="Finish">Why the text ends with it; null where it goes on.</param>
internal sealed record TextPart(int Index, string Text, GeneratedToken? Token, int Offset, FinishReason? Finish)
{
    /// <summary>OpenAI's word for <see cref="Finish"/>.</summary>
    public string? FinishName => Finish?.ToString().ToLowerInvariant();
}

/// <summary>How an endpoint writes texts.</summary>
internal interface ITextFormat
{
    /// <summary>Events before the first piece.</summary>
    IEnumerable<object> Beginning(int texts);

    object Event(TextPart part);

    /// <summary>The event with the usage.</summary>
    object End(Usage usage);

    object Whole(IReadOnlyList<IReadOnlyList<TextPart>> texts, Usage usage);
}

/// <summary>Generates the texts of a request and answers with them, whole or as they are made.</summary>
internal sealed class TextAnswers(ServerOptions options)
{
    /// <summary>Puts all texts of a request into the queue, or none. With <paramref name="echo"/> each begins with its prompt.</summary>
    /// <exception cref="ApiException">The queue is full.</exception>
    public List<TextTask> Begin(
        ServedModel model, IReadOnlyList<GenerationRequest> requests, IReadOnlyList<string> stops, Func<int, string>? echo = null)
    {
        List<TextTask> tasks = [];
        try
        {
            foreach (GenerationRequest request in requests)
            {
                string? prompt = echo?.Invoke(tasks.Count);
                tasks.Add(new(tasks.Count, model.Generate(request, stops), prompt));
            }
            return tasks;
        }
        catch (EngineBusyException error)
        {
            foreach (TextTask task in tasks) task.Dispose();
            throw new ApiException(StatusCodes.Status429TooManyRequests, error.Message, code: "queue_full");
        }
    }

    public async Task<IResult> Answer(HttpContext context, SamplingRequest request, List<TextTask> tasks, ITextFormat format)
    {
        CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        context.Response.RegisterForDispose(ending);
        foreach (TextTask task in tasks) context.Response.RegisterForDispose(task);
        ending.CancelAfter(options.Timeout);
        if (request.Stream == true)
            return TypedResults.ServerSentEvents(
                Stream(tasks, format, request.StreamOptions?.IncludeUsage == true, ending.Token));
        try
        {
            IReadOnlyList<TextPart>[] texts = await Task.WhenAll(tasks.Select(task => Whole(task, ending.Token)));
            return TypedResults.Json(format.Whole(texts, UsageOf(tasks)), Json.Options);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw TookTooLong();
        }
    }

    private static async Task<IReadOnlyList<TextPart>> Whole(TextTask task, CancellationToken cancellation)
    {
        List<TextPart> parts = [];
        await foreach (TextPart part in task.Parts(cancellation)) parts.Add(part);
        return parts;
    }

    private async IAsyncEnumerable<string> Stream(
        List<TextTask> tasks, ITextFormat format, bool tellsUsage, [EnumeratorCancellation] CancellationToken cancellation)
    {
        foreach (object first in format.Beginning(tasks.Count)) yield return Text(first);
        Channel<object> events = Channel.CreateUnbounded<object>(new() { SingleReader = true });
        Task sending = Task.Run(() => Send(tasks, format, events.Writer, cancellation), CancellationToken.None);
        await foreach (object one in events.Reader.ReadAllAsync(CancellationToken.None)) yield return Text(one);
        await sending;
        if (tellsUsage) yield return Text(format.End(UsageOf(tasks)));
        yield return "[DONE]";
    }

    private async Task Send(List<TextTask> tasks, ITextFormat format, ChannelWriter<object> events, CancellationToken cancellation)
    {
        try
        {
            await Task.WhenAll(tasks.Select(async task =>
            {
                await foreach (TextPart part in task.Parts(cancellation)) events.TryWrite(format.Event(part));
            }));
        }
        catch (OperationCanceledException)
        {
            events.TryWrite(TookTooLong().Body); // or nobody reads it
        }
        catch (Exception error)
        {
            events.TryWrite(ApiException.Of(error).Body);
        }
        finally
        {
            events.Complete();
        }
    }

    private static string Text(object value) => JsonSerializer.Serialize(value, value.GetType(), Json.Options);

    private ApiException TookTooLong() => new(
        StatusCodes.Status504GatewayTimeout, $"the request took longer than {options.Timeout.TotalSeconds} s, which this server allows",
        code: "timeout");

    private static Usage UsageOf(List<TextTask> tasks)
    {
        int prompt = tasks.Sum(task => task.Text.PromptTokens);
        int generated = tasks.Sum(task => task.Text.Tokens);
        return new(prompt, generated, prompt + generated)
        {
            PromptTokensDetails = new(tasks.Sum(task => task.Text.SharedTokens)),
        };
    }
}
