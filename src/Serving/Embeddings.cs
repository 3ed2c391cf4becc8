using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Trainer.Configuration;
using Trainer.Inference;

namespace Trainer.Serving;

/// <summary><c>POST /v1/embeddings</c></summary>
internal sealed class Embeddings(ServedModels models) : IDisposable
{
    private readonly ServedModel model = models.Base; // an encoder has no adapters here
    private readonly TrainerEmbeddingGenerator generator = new(
        new TextEmbedder(models.Base.Model, models.Base.Tokenizer, models.Base.Device, Pooling.Mean, normalize: true), models.Base.Id);

    public async Task<IResult> Answer(HttpContext context)
    {
        EmbeddingRequest request = await Json.ReadAsync<EmbeddingRequest>(context.Request, context.RequestAborted);
        models.Find(request.Model);
        if (model.Engine is not null)
            throw ApiException.BadRequest("the model is no encoder, and embeds nothing; POST /v1/completions continues a text", "model");
        if (request.EncodingFormat is not (null or "float" or "base64"))
            throw ApiException.BadRequest($"encoding_format ({request.EncodingFormat}) must be float or base64", "encoding_format");
        if (request.Dimensions is { } wanted && wanted != model.Model.Options.Dim)
            throw ApiException.BadRequest(
                $"dimensions ({wanted}) must be left out, or {model.Model.Options.Dim}: the model's vectors have so many", "dimensions");
        IReadOnlyList<string> texts = request.Input?.Texts ?? throw ApiException.BadRequest(
            request.Input is null ? "input is missing; send a text to embed" : "input must be a text or a list of texts", "input");

        try
        {
            GeneratedEmbeddings<Embedding<float>> vectors = await generator.GenerateAsync(texts, null, context.RequestAborted);
            int tokens = (int)vectors.Usage!.InputTokenCount!;
            return TypedResults.Json(
                new EmbeddingResponse(
                    "list", [.. vectors.Select((one, index) => new Embedding("embedding", index, Written(one.Vector, request)))], model.Id,
                    new(tokens, 0, tokens)),
                Json.Options);
        }
        catch (UserException error)
        {
            throw ApiException.BadRequest(error.Message, "input");
        }
    }

    public void Dispose() => generator.Dispose();

    private static object Written(ReadOnlyMemory<float> vector, EmbeddingRequest request) =>
        request.EncodingFormat == "base64" ? Convert.ToBase64String(MemoryMarshal.AsBytes(vector.Span)) : vector.ToArray();
}

/// <summary>A request for embeddings.</summary>
internal sealed record EmbeddingRequest
{
    [Description("The model's id, as /v1/models lists it.")]
    public string? Model { get; init; }

    [Description("A text, or several.")]
    public Prompts? Input { get; init; }

    [Description("float, by default, or base64: the bytes of float32 numbers.")]
    public string? EncodingFormat { get; init; }

    [Description("Only the model's own.")]
    public int? Dimensions { get; init; }

    [Description("Who asks; it is not used.")]
    public string? User { get; init; }
}

/// <summary>The answer to a request for embeddings.</summary>
internal sealed record EmbeddingResponse(string Object, IReadOnlyList<Embedding> Data, string Model, Usage Usage);

/// <summary>The vector of one text: numbers, or base64.</summary>
internal sealed record Embedding(string Object, int Index, [property: JsonPropertyName("embedding")] object Vector);
