using System.ClientModel;
using System.Text;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;

namespace Trainer.Serving.Tests;

public class ChatsTests
{
    private const string Template =
        "{% for message in messages %}{% if message.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('no such role') }}" +
        "{% endif %}{{ message.role[0] }}:{{ message.content }}|{% endfor %}{% if add_generation_prompt %}a:{% endif %}";

    [Fact]
    public async Task OpenAIs_client_gets_what_generate_says_to_the_rendered_messages()
    {
        await using TinyServer server = TinyServer.Start(chatTemplate: Template);
        ChatClient client = Client(server);
        ChatMessage[] messages =
            [new SystemChatMessage("be"), new UserChatMessage("hi"), new AssistantChatMessage("o"), new UserChatMessage("?")];
        ChatCompletionOptions options = new()
        {
            Temperature = 0, MaxOutputTokenCount = 12, IncludeLogProbabilities = true, TopLogProbabilityCount = 2,
        };
        string expected = server.Greedy("s:be|u:hi|a:o|u:?|a:", 12);

        ChatCompletion whole = await client.CompleteChatAsync(messages, options);
        Assert.Equal(expected, whole.Content[0].Text);
        Assert.Equal(ChatMessageRole.Assistant, whole.Role);
        Assert.Equal(ChatFinishReason.Length, whole.FinishReason);
        Assert.Equal((20, 12), (whole.Usage.InputTokenCount, whole.Usage.OutputTokenCount));
        Assert.Equal(12, whole.ContentTokenLogProbabilities.Count);
        Assert.All(whole.ContentTokenLogProbabilities, token => Assert.Equal(2, token.TopLogProbabilities.Count));

        StringBuilder pieces = new();
        ChatFinishReason? finish = null;
        await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync(messages, options))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) pieces.Append(part.Text);
            finish = update.FinishReason ?? finish;
        }
        Assert.Equal((expected, ChatFinishReason.Length), (pieces.ToString(), finish!.Value));
    }

    [Fact]
    public async Task OpenAIs_client_is_told_what_is_wrong()
    {
        await using TinyServer server = TinyServer.Start(chatTemplate: Template);
        ClientResultException error = await Assert.ThrowsAsync<ClientResultException>(
            () => Client(server).CompleteChatAsync([new UserChatMessage(new string('a', 100))]));
        Assert.Equal(400, error.Status);
        Assert.Contains("context holds 64", error.Message);
    }

    [Theory]
    [InlineData("""{}""", "messages")]
    [InlineData("""{"messages": []}""", "messages")]
    [InlineData("""{"messages": [null]}""", "messages[0]")]
    [InlineData("""{"messages": [{"content": "a"}]}""", "messages[0].role")]
    [InlineData("""{"messages": [{"role": "user"}]}""", "messages[0].content")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}""", "messages[0].content")]
    [InlineData("""{"messages": [{"role": "user", "content": "\ud83d"}]}""", "messages[0].content")]
    [InlineData("""{"messages": [{"role": "oracle", "content": "a"}]}""", "messages")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}], "top_logprobs": 2}""", "top_logprobs")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}], "n": 65}""", "n")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}], "max_completion_tokens": 0}""", "max_completion_tokens")]
    [InlineData("""{"messages": [{"role": "user", "content": "a", "name": "x"}]}""", "messages[0].name")]
    public async Task What_is_wrong_is_an_error_with_its_path(string body, string parameter)
    {
        await using TinyServer server = TinyServer.Start(chatTemplate: Template);
        (int status, JsonNode error) = await server.Post("/v1/chat/completions", body);
        Assert.Equal((400, parameter), (status, (string)error["error"]!["param"]!));
    }

    [Fact]
    public async Task Parts_of_text_are_one_text_and_developers_are_the_system()
    {
        await using TinyServer server = TinyServer.Start(chatTemplate: Template);
        (int status, JsonNode answer) = await server.Post("/v1/chat/completions", """
            {"messages": [{"role": "developer", "content": "be"},
                          {"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}],
             "temperature": 0, "max_tokens": 10}
            """);
        Assert.Equal(200, status);
        Assert.Equal(server.Greedy("s:be|u:hi|a:", 10), (string)answer["choices"]![0]!["message"]!["content"]!);
    }

    [Fact]
    public async Task A_model_without_a_template_says_that_it_completes()
    {
        await using TinyServer server = TinyServer.Start();
        (int status, JsonNode error) = await server.Post("/v1/chat/completions", """{"messages": [{"role": "user", "content": "a"}]}""");
        Assert.Equal(400, status);
        Assert.Contains("/v1/completions", (string)error["error"]!["message"]!);
    }

    private static ChatClient Client(TinyServer server) =>
        new OpenAIClient(new ApiKeyCredential("any"), new() { Endpoint = new(server.Client.BaseAddress!, "v1") }).GetChatClient("tiny");
}
