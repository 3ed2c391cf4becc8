using System.Text.Json.Nodes;
using Trainer.Tests;

namespace Trainer.Serving.Tests;

/// <summary>A model and its adapters, chosen by a request's model.</summary>
public sealed class AdaptersTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task All_are_listed_and_an_adapter_names_its_parent()
    {
        await using TinyServer server = TinyServer.StartWithAdapters(directory);
        JsonArray models = JsonNode.Parse(await server.Client.GetStringAsync("/v1/models"))!["data"]!.AsArray();
        Assert.Equal(
            [("tiny", null), ("pirate", "tiny"), ("talker", "tiny")],
            models.Select(model => ((string)model!["id"]!, (string?)model["parent"])));
        Assert.Equal("pirate", (string)JsonNode.Parse(await server.Client.GetStringAsync("/v1/models/pirate"))!["id"]!);
        JsonNode info = JsonNode.Parse(await server.Client.GetStringAsync("/info"))!;
        Assert.Equal(["completion", "chat"], info["adapters"]!.AsArray().Select(one => (string)one!["kind"]!));
    }

    [Fact]
    public async Task Requests_at_once_get_the_text_of_the_model_that_they_name()
    {
        await using TinyServer server = TinyServer.StartWithAdapters(directory);
        string?[] names = ["pirate", "tiny", "talker", null, "pirate", "talker"];
        (int Status, JsonNode Body)[] answers = await Task.WhenAll(names.Select(name => server.Post("/v1/completions",
            $$"""{"prompt": "to be", "max_tokens": 20, "temperature": 0{{(name is null ? "" : $", \"model\": \"{name}\"")}}}""")));
        foreach ((string? name, (int status, JsonNode body)) in names.Zip(answers))
        {
            Assert.Equal((200, name ?? "tiny"), (status, (string)body["model"]!));
            string? of = name is null or "tiny" ? null : directory.File(name);
            Assert.Equal(server.Greedy("to be", 20, of), (string)body["choices"]![0]!["text"]!);
        }
        Assert.Equal(3, answers.Select(answer => (string)answer.Body["choices"]![0]!["text"]!).Distinct().Count());
    }

    [Fact]
    public async Task An_adapter_that_was_trained_on_conversations_talks()
    {
        await using TinyServer server = TinyServer.StartWithAdapters(directory);
        const string Messages = "\"messages\": [{\"role\": \"user\", \"content\": \"to be\"}], \"max_tokens\": 12, \"temperature\": 0";
        (int status, JsonNode body) = await server.Post("/v1/chat/completions", $$"""{"model": "talker", {{Messages}}}""");
        Assert.Equal(
            (200, server.Greedy("to be|:", 12, directory.File("talker"))),
            (status, (string)body["choices"]![0]!["message"]!["content"]!));
        Assert.Equal(400, (await server.Post("/v1/chat/completions", $$"""{"model": "pirate", {{Messages}}}""")).Status);
    }

    [Theory]
    [InlineData("/v1/completions", """{"model": "other", "prompt": "a"}""")]
    [InlineData("/v1/chat/completions", """{"model": "other", "messages": []}""")]
    public async Task Another_name_is_an_error_that_lists_those_there_are(string path, string body)
    {
        await using TinyServer server = TinyServer.StartWithAdapters(directory);
        (int status, JsonNode error) = await server.Post(path, body);
        Assert.Equal(
            (404, "there is no model 'other' here; this server has 'tiny', 'pirate', 'talker'"),
            (status, (string)error["error"]!["message"]!));
    }
}
