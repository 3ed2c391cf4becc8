using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Inference.Serving;
using Trainer.Models.Devices;
using Trainer.Tests;
using static TorchSharp.torch;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Trainer.Inference.Tests;

public sealed class TrainerChatClientTests : IDisposable
{
    private const string Template =
        "{% for message in messages %}{{ message.role[0] }}:{{ message.content }}|{% endfor %}{% if add_generation_prompt %}a:{% endif %}";

    private static readonly ChatMessage[] Messages =
        [new(ChatRole.System, "be"), new(ChatRole.User, "hi"), new(ChatRole.Assistant, "o"), new(ChatRole.User, "?")];

    private readonly TemporaryDirectory directory = new();
    private readonly Checkpoint checkpoint;
    private readonly TrainerChatClient client;

    public TrainerChatClientTests()
    {
        checkpoint = TinyCheckpoint.Write(TinyCheckpoint.Decoder, directory.File("checkpoint"), Template);
        client = TrainerChatClient.Open(checkpoint.Directory, DeviceChoice.Cpu);
    }

    private static ChatOptions Greedy => new() { Temperature = 0, MaxOutputTokens = 12 };

    public void Dispose()
    {
        client.Dispose();
        directory.Dispose();
    }

    [Fact]
    public async Task The_answer_is_what_generate_says_to_the_rendered_messages()
    {
        ChatResponse answer = await client.GetResponseAsync(Messages, Greedy);

        Assert.Equal(Continuation("s:be|u:hi|a:o|u:?|a:"), answer.Text);
        Assert.Equal((ChatRole.Assistant, ChatFinishReason.Length, "tiny"), (answer.Messages[0].Role, answer.FinishReason, answer.ModelId));
        Assert.Equal((20L, 12L, 32L), (answer.Usage!.InputTokenCount, answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount));
    }

    [Fact]
    public async Task A_stream_is_the_answer_in_pieces_of_one_message()
    {
        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync(Messages, Greedy).ToListAsync();

        Assert.True(updates.Count > 3);
        Assert.Equal((await client.GetResponseAsync(Messages, Greedy)).Text, string.Concat(updates.Select(update => update.Text)));
        Assert.Single(updates.Select(update => (update.MessageId, update.ResponseId, update.Role)).Distinct());
        Assert.All(updates[..^1], update => Assert.Null(update.FinishReason));
        Assert.Equal(ChatFinishReason.Length, updates[^1].FinishReason);
        Assert.Equal(12, Assert.Single(updates[^1].Contents.OfType<UsageContent>()).Details.OutputTokenCount);
    }

    [Fact]
    public async Task A_text_ends_before_the_first_stop_sequence()
    {
        string free = (await client.GetResponseAsync(Messages, Greedy)).Text;
        ChatOptions options = Greedy;
        options.StopSequences = ["never", free[3..5]];

        ChatResponse answer = await client.GetResponseAsync(Messages, options);

        Assert.Equal(free[..free.IndexOf(free[3..5], StringComparison.Ordinal)], answer.Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
    }

    [Fact]
    public async Task A_message_ends_before_an_end_token_of_the_checkpoint()
    {
        string free = (await client.GetResponseAsync(Messages, Greedy)).Text;
        File.WriteAllText(
            Path.Combine(checkpoint.Directory, "generation_config.json"), new JsonObject { ["eos_token_id"] = (int)free[5] }.ToJsonString());
        using TrainerChatClient ending = TrainerChatClient.Open(checkpoint.Directory, DeviceChoice.Cpu);

        ChatResponse answer = await ending.GetResponseAsync(Messages, Greedy);

        Assert.Equal(free[..free.IndexOf(free[5])], answer.Text);
        Assert.Equal((ChatFinishReason.Stop, answer.Text.Length), (answer.FinishReason, (int)answer.Usage!.OutputTokenCount!));
    }

    [Fact]
    public async Task Instructions_are_the_first_message_and_developers_are_the_system()
    {
        ChatOptions options = Greedy;
        options.Instructions = "be";
        Assert.Equal(Continuation("s:be|u:hi|a:"), (await client.GetResponseAsync("hi", options)).Text);
        ChatMessage[] messages = [new(new ChatRole("developer"), "be"), new(ChatRole.User, [new TextContent("h"), new TextContent("i")])];
        Assert.Equal(Continuation("s:be|u:hi|a:"), (await client.GetResponseAsync(messages, Greedy)).Text);
    }

    [Fact]
    public async Task The_seed_decides_and_without_one_texts_differ()
    {
        async Task<string> Say(long? seed) => (await client.GetResponseAsync("hi", new() { Seed = seed, MaxOutputTokens = 30 })).Text;
        Assert.Equal(await Say(3), await Say(3));
        Assert.NotEqual(await Say(null), await Say(null));
    }

    [Fact]
    public async Task Penalties_keep_tokens_from_coming_again()
    {
        ChatOptions options = new() { Temperature = 1, TopK = 5, TopP = 0.9f, Seed = 1, MaxOutputTokens = 30 };
        string free = (await client.GetResponseAsync("hi", options)).Text;
        options.FrequencyPenalty = options.PresencePenalty = 2;
        Assert.NotEqual(free, (await client.GetResponseAsync("hi", options)).Text);
    }

    [Fact]
    public async Task Callers_side_by_side_get_what_each_would_get_alone()
    {
        string[] prompts = [.. Enumerable.Range(0, 20).Select(i => new string((char)('a' + i), i + 1))];
        ChatResponse[] answers = await Task.WhenAll(prompts.Select(prompt => client.GetResponseAsync(prompt, Greedy)));
        Assert.Equal(prompts.Select(prompt => Continuation($"u:{prompt}|a:")), answers.Select(answer => answer.Text));
    }

    [Fact]
    public async Task Cancellation_ends_the_stream_and_the_work_on_it()
    {
        using CancellationTokenSource source = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync("hi", new() { Seed = 1 }, source.Token)) source.Cancel();
        });

        GenerationEngine engine = client.GetService<LoadedModel>()!.Engine!;
        Assert.True(SpinWait.SpinUntil(() => engine is { Running: 0, Waiting: 0 }, TimeSpan.FromSeconds(10)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.GetResponseAsync("hi", Greedy, source.Token));
    }

    public static TheoryData<string, ChatOptions> NotHonoured => new()
    {
        { "Tools", new() { Tools = [AIFunctionFactory.Create(() => 1, "one")] } },
        { "ToolMode", new() { ToolMode = ChatToolMode.RequireAny } },
        { "ResponseFormat", new() { ResponseFormat = ChatResponseFormat.Json } },
        { "ConversationId", new() { ConversationId = "1" } },
        { "ModelId", new() { ModelId = "other" } },
        { "AdditionalProperties", new() { AdditionalProperties = new() { ["min_p"] = 0.1 } } },
        { "RawRepresentationFactory", new() { RawRepresentationFactory = _ => null } },
        { "StopSequences", new() { StopSequences = [""] } },
        { "MaxOutputTokens", new() { MaxOutputTokens = 0 } },
        { "Temperature", new() { Temperature = -1 } },
        { "TopP", new() { TopP = 1.5f } },
        { "TopK", new() { TopK = 0 } },
        { "FrequencyPenalty", new() { FrequencyPenalty = 3 } },
        { "PresencePenalty", new() { PresencePenalty = float.NaN } },
    };

    [Theory]
    [MemberData(nameof(NotHonoured))]
    public void An_option_that_cannot_be_honoured_is_an_error_that_names_it(string name, ChatOptions options) => Assert.Equal(
        name, Assert.Single(Assert.Throws<ConfigurationException>(() => client.GetStreamingResponseAsync("hi", options)).Problems).Path);

    [Fact]
    public void All_options_that_are_wrong_are_said() => Assert.StartsWith(
        "ChatOptions: 2 problems\n  TopK: ",
        Assert.Throws<ConfigurationException>(() => client.GetStreamingResponseAsync("hi", new() { TopK = 0, ModelId = "other" })).Message);

    [Fact]
    public async Task Text_alone_is_read_and_it_must_fit_into_the_context()
    {
        ChatMessage image = new(ChatRole.User, [new UriContent("http://localhost/a.png", "image/png")]);
        Assert.Contains("message 0 has a UriContent", (await Assert.ThrowsAsync<UserException>(() => client.GetResponseAsync(image))).Message);
        Assert.Contains("no messages", (await Assert.ThrowsAsync<UserException>(() => client.GetResponseAsync([]))).Message);
        PromptException error = await Assert.ThrowsAsync<PromptException>(() => client.GetResponseAsync(new string('a', 100)));
        Assert.Equal((PromptFault.LongerThanContext, TinyCheckpoint.Context), (error.Fault, error.Limit));
    }

    [Fact]
    public void A_model_without_a_template_is_refused_unless_one_is_given()
    {
        string plain = TinyCheckpoint.Write(TinyCheckpoint.Decoder, directory.File("plain")).Directory;
        Assert.Contains(
            "'tiny' has no chat template", Assert.Throws<UserException>(() => TrainerChatClient.Open(plain, DeviceChoice.Cpu)).Message);
        using TrainerChatClient given = TrainerChatClient.Open(plain, DeviceChoice.Cpu, template: new(Template));
        Assert.NotNull(given);
    }

    [Fact]
    public async Task The_library_s_middleware_works_around_it()
    {
        using LoadedModel model = new(checkpoint, CPU);
        using (IChatClient wrapped = new TrainerChatClient(model).AsBuilder().UseFunctionInvocation().UseOpenTelemetry().Build())
        {
            Assert.Equal(Continuation("u:hi|a:"), (await wrapped.GetResponseAsync("hi", Greedy)).Text);
            ChatClientMetadata metadata = wrapped.GetService<ChatClientMetadata>()!;
            Assert.Equal(("trainer", "tiny"), (metadata.ProviderName, metadata.DefaultModelId));
            Assert.NotNull(wrapped.GetService<TrainerChatClient>());
            Assert.Null(wrapped.GetService<TrainerChatClient>("key"));
        }
        Assert.NotEmpty((await new TrainerChatClient(model).GetResponseAsync("hi", Greedy)).Text); // the model stays
    }

    private string Continuation(string prompt)
    {
        using TextGenerator generator = TextGenerator.Open(checkpoint.Directory, DeviceChoice.Cpu);
        return generator.Generate(prompt, new() { Tokens = 12, Sampling = new() { Greedy = true } });
    }
}
