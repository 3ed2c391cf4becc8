using Microsoft.AspNetCore.Http;
using Trainer.Inference.Serving;

namespace Trainer.Serving;

/// <summary><c>POST /v1/completions</c></summary>
internal sealed class Completions(ServedModels models, ServerOptions options)
{
    private const int DefaultTokens = 16;

    private readonly TextAnswers answers = new(options);

    public async Task<IResult> Answer(HttpContext context)
    {
        CompletionRequest request = await Json.ReadAsync<CompletionRequest>(context.Request, context.RequestAborted);
        ServedModel model = models.Find(request.Model);
        List<TextTask> tasks = answers.Begin(model, Requests(model, request), request.Stop ?? [],
            request.Echo == true ? index => Echo(model, request, index) : null);
        return await answers.Answer(context, request, tasks, new Format(model, request.Logprobs is not null));
    }

    private GenerationRequest[] Requests(ServedModel model, CompletionRequest request)
    {
        model.RequireGeneration();
        request.CheckAll(model.Tokenizer.VocabularySize);
        Prompts prompts = request.Prompt ?? throw ApiException.BadRequest("prompt is missing; send a text to continue", "prompt");
        int each = request.N ?? 1;
        long texts = (long)prompts.Count * each;
        if (texts > options.MaxChoices)
            throw ApiException.BadRequest(
                $"{prompts.Count} prompts with n = {each} are {texts} texts; this server takes {options.MaxChoices} at a time",
                prompts.Count > each ? "prompt" : "n");
        long seed = request.Seed ?? Random.Shared.NextInt64();
        return [.. Enumerable.Range(0, (int)texts).Select(index => request.ApplyTo(model.Request(prompts, index / each), seed, index) with
        {
            MaxTokens = request.MaxTokens ?? DefaultTokens,
            TopLogProbabilities = request.Logprobs,
        })];
    }

    // As it was given: tokens that the model's tokenizer puts around it are no part of it.
    private static string Echo(ServedModel model, CompletionRequest request, int index)
    {
        Prompts prompts = request.Prompt!;
        int own = index / (request.N ?? 1);
        return prompts.Texts?[own] ?? model.Tokenizer.Decode(prompts.Ids![own]);
    }

    private sealed class Format(ServedModel model, bool tellsLogprobs) : ITextFormat
    {
        private readonly string id = $"cmpl-{Guid.NewGuid():N}";
        private readonly long created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

        public IEnumerable<object> Beginning(int texts) => [];

        public object Event(TextPart part) => Response([Choice([part])], null);

        public object End(Usage usage) => Response([], usage);

        public object Whole(IReadOnlyList<IReadOnlyList<TextPart>> texts, Usage usage) => Response([.. texts.Select(Choice)], usage);

        private CompletionResponse Response(IReadOnlyList<CompletionChoice> choices, Usage? usage) =>
            new(id, "text_completion", created, model.Id, choices, usage);

        private CompletionChoice Choice(IReadOnlyList<TextPart> parts) =>
            new(parts[0].Index, string.Concat(parts.Select(part => part.Text)))
        {
            FinishReason = parts[^1].FinishName,
            Logprobs = tellsLogprobs ? Logprobs(parts) : null,
        };

        private CompletionLogprobs Logprobs(IReadOnlyList<TextPart> parts)
        {
            (GeneratedToken Token, int Offset)[] tokens =
                [.. parts.Where(part => part.Token is not null).Select(part => (part.Token!.Value, part.Offset))];
            return new(
                [.. tokens.Select(one => model.Name(one.Token.Id))],
                [.. tokens.Select(one => one.Token.LogProbability)],
                [.. tokens.Select(one => Top(one.Token))],
                [.. tokens.Select(one => one.Offset)]);
        }

        private Dictionary<string, double> Top(GeneratedToken token)
        {
            Dictionary<string, double> top = [];
            foreach ((int id, double probability) in token.Alternatives) top.TryAdd(model.Name(id), probability);
            return top;
        }
    }
}
