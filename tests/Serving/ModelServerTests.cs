using System.ClientModel;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Embeddings;
using OpenAI.Models;
using Trainer.Configuration;

namespace Trainer.Serving.Tests;

public class ModelServerTests
{
    [Fact]
    public async Task OpenAIs_client_lists_the_model_and_embeds_texts()
    {
        await using TinyServer server = TinyServer.Start(TinyServer.Encoder);
        OpenAIClient client = new(new ApiKeyCredential("any"), new() { Endpoint = new(server.Client.BaseAddress!, "v1") });

        OpenAIModelCollection models = client.GetOpenAIModelClient().GetModels();
        OpenAIEmbeddingCollection vectors = client.GetEmbeddingClient("tiny").GenerateEmbeddings(["to be", "or not"]);

        Assert.Equal("tiny", Assert.Single(models).Id);
        Assert.Equal(2, vectors.Count);
        Assert.All(vectors, vector => Assert.Equal(1, Length(vector.ToFloats().Span), 1e-5));
        Assert.Equal(11, vectors.Usage.InputTokenCount);
        (_, JsonNode body) = await server.Post("/v1/embeddings", """{"input": "to be"}""");
        Assert.Equal(vectors[0].ToFloats().ToArray(), body["data"]![0]!["embedding"]!.AsArray().Select(number => (float)number!));
    }

    [Theory]
    [InlineData("""{}""", "input")]
    [InlineData("""{"input": [1, 2]}""", "input")]
    [InlineData("""{"input": ""}""", "input")]
    [InlineData("""{"input": "a", "dimensions": 7}""", "dimensions")]
    [InlineData("""{"input": "a", "encoding_format": "hex"}""", "encoding_format")]
    public async Task What_is_wrong_with_a_text_to_embed_is_an_error_with_its_path(string body, string parameter)
    {
        await using TinyServer server = TinyServer.Start(TinyServer.Encoder);
        (int status, JsonNode error) = await server.Post("/v1/embeddings", body);
        Assert.Equal((400, parameter), (status, (string)error["error"]!["param"]!));
    }

    [Fact]
    public async Task An_encoder_completes_nothing_and_a_decoder_embeds_nothing()
    {
        await using TinyServer encoder = TinyServer.Start(TinyServer.Encoder), decoder = TinyServer.Start();
        Assert.Equal(400, (await encoder.Post("/v1/completions", """{"prompt": "a"}""")).Status);
        Assert.Equal(400, (await decoder.Post("/v1/embeddings", """{"input": "a"}""")).Status);
    }

    [Fact]
    public async Task A_key_is_required_where_there_is_one()
    {
        await using TinyServer server = TinyServer.Start(settings: new() { ApiKey = "secret" });
        (int without, JsonNode error) = await server.Post("/v1/completions", """{"prompt": "a"}""");
        Assert.Equal((401, "invalid_api_key"), (without, (string)error["error"]!["code"]!));

        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secrets");
        Assert.Equal(401, (await server.Post("/v1/completions", """{"prompt": "a"}""")).Status);
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secret");
        Assert.Equal(200, (await server.Post("/v1/completions", """{"prompt": "a"}""")).Status);
        server.Client.DefaultRequestHeaders.Authorization = null;
        Assert.Equal("ok", (string)JsonNode.Parse(await server.Client.GetStringAsync("/health"))!["status"]!);
    }

    [Fact]
    public async Task A_full_queue_refuses_and_everyone_else_is_served()
    {
        await using TinyServer server = TinyServer.Start(settings: new() { Engine = new() { Parallel = 1, QueueLength = 4 } });
        (int Status, JsonNode)[] answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ =>
            server.Post("/v1/completions", """{"prompt": "a", "max_tokens": 60}""")));

        Assert.Contains(answers, answer => answer.Status == 200);
        Assert.All(answers, answer => Assert.Contains(answer.Status, (int[])[200, 429]));
    }

    [Fact]
    public async Task A_body_beyond_the_limit_is_refused()
    {
        await using TinyServer server = TinyServer.Start(settings: new() { MaxBodyBytes = 1000 });
        (int status, JsonNode error) = await server.Post("/v1/completions", $$"""{"prompt": "{{new string('a', 2000)}}"}""");
        Assert.Equal(413, status);
        Assert.NotEmpty((string)error["error"]!["message"]!);
    }

    [Theory]
    [InlineData("GET", "/nowhere", 404)]
    [InlineData("GET", "/v1/completions", 405)]
    [InlineData("GET", "/v1/models/other", 404)]
    public async Task What_there_is_not_is_an_error_in_JSON(string method, string path, int status)
    {
        await using TinyServer server = TinyServer.Start();
        using HttpResponseMessage answer = await server.Client.SendAsync(new(new(method), path));
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.NotEmpty((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!["message"]!);
    }

    [Fact]
    public async Task The_API_is_described()
    {
        await using TinyServer server = TinyServer.Start();
        JsonNode api = JsonNode.Parse(await server.Client.GetStringAsync("/openapi.json"))!;
        Assert.NotNull(api["paths"]!["/v1/completions"]!["post"]!["requestBody"]);
        Assert.NotNull(api["components"]!["schemas"]!["CompletionRequest"]!["properties"]!["max_tokens"]);
    }

    [Fact]
    public async Task Options_out_of_range_are_all_said()
    {
        ConfigurationException error = await Assert.ThrowsAsync<ConfigurationException>(async () =>
        {
            await using TinyServer server = TinyServer.Start(settings: new()
            {
                Host = "nowhere", ApiKey = "", Engine = new() { Parallel = 0 },
            });
        });
        Assert.Equal(3, error.Problems.Count);
    }

    [Fact]
    public async Task A_free_port_is_one_address_s_and_localhost_is_two()
    {
        ConfigurationException error = await Assert.ThrowsAsync<ConfigurationException>(async () =>
        {
            await using TinyServer server = TinyServer.Start(settings: new() { Host = "localhost" });
        });
        Assert.Contains("--port 0", Assert.Single(error.Problems).Message);
    }

    [Fact]
    public async Task Each_server_of_a_process_counts_its_own_tokens()
    {
        await using TinyServer busy = TinyServer.Start(), idle = TinyServer.Start();
        await busy.Post("/v1/completions", """{"prompt": "a", "max_tokens": 7}""");
        await idle.Post("/v1/completions", """{"prompt": "a", "max_tokens": 2}""");

        Assert.Equal((7, 2), (await busy.Metric("trainer_generated_tokens"), await idle.Metric("trainer_generated_tokens")));
    }

    private static double Length(ReadOnlySpan<float> vector)
    {
        double sum = 0;
        foreach (float number in vector) sum += number * number;
        return Math.Sqrt(sum);
    }
}
