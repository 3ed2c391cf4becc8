using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using Trainer.Data.Tokenizers;
using Trainer.Tests;

namespace Trainer.Serving.Tests;

public class CompletionsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sixteen_clients_get_what_generate_says(bool latent)
    {
        await using TinyServer server = TinyServer.Start(latent ? TinyServer.LatentDecoder : null);
        Random random = new(3);
        string[] prompts = [.. Enumerable.Range(0, 64).Select(_ => Text(random, random.Next(1, 40)))];
        string[] texts = new string[prompts.Length];
        await Parallel.ForAsync(0, prompts.Length, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, _) =>
        {
            JsonNode body = await Complete(server, new JsonObject { ["prompt"] = prompts[i], ["max_tokens"] = 20, ["temperature"] = 0 });
            texts[i] = (string)body["choices"]![0]!["text"]!;
        });

        for (int i = 0; i < prompts.Length; i++) Assert.Equal(server.Greedy(prompts[i], 20), texts[i]);
        Assert.Equal(0, await server.RunningAtTheEnd());
    }

    [Fact]
    public async Task A_stream_is_the_whole_text_in_pieces()
    {
        await using TinyServer server = TinyServer.Start();
        JsonObject request = new()
        {
            ["prompt"] = "to be", ["max_tokens"] = 30, ["n"] = 2, ["seed"] = 7, ["echo"] = true, ["logprobs"] = 3,
        };
        JsonNode whole = await Complete(server, (JsonObject)request.DeepClone());
        request["stream"] = true;
        request["stream_options"] = new JsonObject { ["include_usage"] = true };
        (List<JsonNode> events, string last) = await Events(server, request);

        Assert.Equal("[DONE]", last);
        Assert.Equal(whole["usage"]!.ToJsonString(), events[^1]["usage"]!.ToJsonString());
        foreach (JsonNode? choice in whole["choices"]!.AsArray())
        {
            JsonNode[] parts = [.. events.SelectMany(one => one["choices"]!.AsArray()).OfType<JsonNode>()
                .Where(part => (int)part["index"]! == (int)choice!["index"]!)];
            Assert.Equal((string)choice!["text"]!, string.Concat(parts.Select(part => (string)part["text"]!)));
            Assert.Equal("length", (string)parts[^1]["finish_reason"]!);
            Assert.All(parts[..^1], part => Assert.Null(part["finish_reason"]));
            foreach (string list in (string[])["tokens", "token_logprobs", "text_offset"])
                Assert.Equal(
                    choice["logprobs"]![list]!.AsArray().Select(item => item!.ToJsonString()),
                    parts.SelectMany(part => part["logprobs"]?[list]!.AsArray() ?? []).Select(item => item!.ToJsonString()));
        }
    }

    [Theory]
    [InlineData("""["a dog", "here"]""", "a dog", "here")] // <s> is put before them, and dog is no word of the tokenizer's
    [InlineData("""[[4, 5], [7]]""", "a cat", "here")]
    public async Task An_echo_is_the_prompt_as_it_was_given(string prompts, string first, string second)
    {
        await using TinyServer server = TinyServer.Start(tokenizer: TinyTokenizer.Words(framed: true));
        JsonNode body = await Complete(
            server, new JsonObject { ["prompt"] = JsonNode.Parse(prompts), ["max_tokens"] = 1, ["n"] = 2, ["echo"] = true });

        string[] texts = [.. body["choices"]!.AsArray().Select(choice => (string)choice!["text"]!)];
        Assert.Equal(4, texts.Length);
        Assert.All(texts[..2], text => Assert.StartsWith(first, text));
        Assert.All(texts[2..], text => Assert.StartsWith(second, text));
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_texts_and_each_choice_another()
    {
        await using TinyServer server = TinyServer.Start();
        JsonObject request = new() { ["prompt"] = "to be", ["max_tokens"] = 20, ["n"] = 3, ["seed"] = 7, ["top_k"] = 50, ["top_p"] = 0.99 };
        string[] Texts(JsonNode body) => [.. body["choices"]!.AsArray().Select(choice => (string)choice!["text"]!)];

        string[] first = Texts(await Complete(server, (JsonObject)request.DeepClone()));
        Assert.Equal(first, Texts(await Complete(server, request)));
        Assert.Equal(3, first.Distinct().Count());
    }

    [Fact]
    public async Task A_stop_ends_the_text_and_is_not_part_of_it()
    {
        await using TinyServer server = TinyServer.Start();
        string whole = server.Greedy("to be", 30), stop = whole[9..12];
        JsonNode body = await Complete(
            server, new JsonObject { ["prompt"] = "to be", ["max_tokens"] = 30, ["temperature"] = 0, ["stop"] = stop });

        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], (string)body["choices"]![0]!["text"]!);
        Assert.Equal("stop", (string)body["choices"]![0]!["finish_reason"]!);
    }

    [Fact]
    public async Task What_only_begins_a_stop_moves_no_offset()
    {
        await using TinyServer server = TinyServer.Start();
        JsonObject request = new() { ["prompt"] = "to be", ["max_tokens"] = 12, ["temperature"] = 0, ["logprobs"] = 0 };
        string free = await Offsets();
        request["stop"] = server.Greedy("to be", 12)[..2] + "never";

        Assert.Equal(free, await Offsets());

        async Task<string> Offsets() =>
            (await Complete(server, request))["choices"]![0]!["logprobs"]!["text_offset"]!.ToJsonString();
    }

    [Fact]
    public async Task A_text_ends_where_the_context_is_full()
    {
        await using TinyServer server = TinyServer.Start();
        JsonNode body = await Complete(server, new JsonObject { ["prompt"] = "to be", ["max_tokens"] = 1000 });

        Assert.Equal("length", (string)body["choices"]![0]!["finish_reason"]!);
        Assert.Equal(TinyServer.Context - 5 + 1, (int)body["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Token_ids_are_prompts_too()
    {
        await using TinyServer server = TinyServer.Start();
        JsonNode body = await Complete(server, new JsonObject
        {
            ["prompt"] = new JsonArray(new JsonArray(116, 111), new JsonArray(98, 101)), ["max_tokens"] = 10, ["temperature"] = 0,
        });

        Assert.Equal(
            [server.Greedy("to", 10), server.Greedy("be", 10)], body["choices"]!.AsArray().Select(choice => (string)choice!["text"]!));
    }

    [Fact]
    public async Task Biases_and_penalties_change_the_logits()
    {
        await using TinyServer server = TinyServer.Start();
        JsonNode body = await Complete(server, new JsonObject
        {
            ["prompt"] = new JsonArray(116, 111), ["max_tokens"] = 30, ["temperature"] = 0, ["presence_penalty"] = 1.5,
            ["frequency_penalty"] = 2, ["logit_bias"] = new JsonObject { ["65"] = 50, ["66"] = 45 }, ["logprobs"] = 0,
        });

        List<int> text = [116, 111];
        for (int i = 0; i < 30; i++)
        {
            float[] logits = server.NextLogits(text);
            (logits[65], logits[66]) = (logits[65] + 50, logits[66] + 45);
            foreach (IGrouping<int, int> token in text.Skip(2).GroupBy(id => id)) logits[token.Key] -= 2 * token.Count() + 1.5f;
            text.Add(Array.IndexOf(logits, logits.Max()));
        }
        Assert.Equal(
            ByteTokenizer.Instance.Decode([.. text.Skip(2)]), (string)body["choices"]![0]!["text"]!);
        Assert.True(text.Distinct().Count() > 3);
    }

    [Theory]
    [InlineData("""{"max_tokens": 5}""", 400, "prompt")]
    [InlineData("""{"prompt": "a", "max_tokens": "5"}""", 400, "max_tokens")]
    [InlineData("""{"prompt": "a", "max_tokens": 0}""", 400, "max_tokens")]
    [InlineData("""{"prompt": "a", "tools": []}""", 400, "tools")]
    [InlineData("""{"prompt": "a", "temperature": -1}""", 400, "temperature")]
    [InlineData("""{"prompt": "a", "top_p": 0}""", 400, "top_p")]
    [InlineData("""{"prompt": "a", "top_k": 0}""", 400, "top_k")]
    [InlineData("""{"prompt": "a", "n": 0}""", 400, "n")]
    [InlineData("""{"prompt": "a", "n": 65}""", 400, "n")]
    [InlineData("""{"prompt": "a", "best_of": 2}""", 400, "best_of")]
    [InlineData("""{"prompt": "a", "suffix": "b"}""", 400, "suffix")]
    [InlineData("""{"prompt": "a", "logprobs": 21}""", 400, "logprobs")]
    [InlineData("""{"prompt": "a", "stop": [""]}""", 400, "stop[0]")]
    [InlineData("""{"prompt": "a", "stop": [null]}""", 400, "stop[0]")]
    [InlineData("""{"prompt": "a", "stop": ["a", "b", "c", "d", "e"]}""", 400, "stop")]
    [InlineData("""{"prompt": "a", "frequency_penalty": 3}""", 400, "frequency_penalty")]
    [InlineData("""{"prompt": "a", "logit_bias": {"256": 1}}""", 400, "logit_bias.256")]
    [InlineData("""{"prompt": "a", "logit_bias": {"05": 1}}""", 400, "logit_bias.05")]
    [InlineData("""{"prompt": "a", "stream_options": {"include_usage": true}}""", 400, "stream_options")]
    [InlineData("""{"prompt": "a", "model": "gpt-4"}""", 404, "model")]
    [InlineData("""{"prompt": ""}""", 400, "prompt")]
    [InlineData("""{"prompt": ["a", ""]}""", 400, "prompt[1]")]
    [InlineData("""{"prompt": [1, 256]}""", 400, "prompt[1]")]
    [InlineData("""{"prompt": {"a": 1}}""", 400, "prompt")]
    [InlineData("""{"prompt": "a", "prompt": "b"}""", 400, "prompt")]
    [InlineData("""[]""", 400, null)]
    [InlineData("""null""", 400, null)]
    [InlineData("""{""", 400, null)]
    [InlineData("", 400, null)]
    public async Task What_is_wrong_is_an_error_with_its_path(string body, int status, string? parameter)
    {
        await using TinyServer server = TinyServer.Start();
        (int answered, JsonNode error) = await server.Post("/v1/completions", body);

        Assert.Equal(status, answered);
        Assert.Equal(parameter, (string?)error["error"]!["param"]);
        Assert.NotEmpty((string)error["error"]!["message"]!);
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_an_error_with_both_lengths()
    {
        await using TinyServer server = TinyServer.Start();
        (int status, JsonNode error) = await server.Post("/v1/completions", $$"""{"prompt": "{{new string('a', 70)}}"}""");

        Assert.Equal((400, "context_length_exceeded"), (status, (string)error["error"]!["code"]!));
        Assert.Contains("70 tokens, and the model's context holds 64", (string)error["error"]!["message"]!);
    }

    [Fact]
    public async Task A_client_that_goes_away_ends_its_generation()
    {
        await using TinyServer server = TinyServer.Start(settings: new() { Engine = new() { Parallel = 2 } });
        for (int i = 0; i < 20; i++)
        {
            using CancellationTokenSource leaving = new();
            using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions")
            {
                Content = new StringContent("""{"prompt": ["a", "b", "c"], "max_tokens": 60, "stream": true}"""),
            };
            using HttpResponseMessage answer =
                await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leaving.Token);
            await leaving.CancelAsync();
        }
        Assert.Equal(0, await server.RunningAtTheEnd());
        Assert.Equal(server.Greedy("to be", 5), (string)(await Complete(
            server, new JsonObject { ["prompt"] = "to be", ["max_tokens"] = 5, ["temperature"] = 0 }))["choices"]![0]!["text"]!);
    }

    [Fact]
    public async Task Two_thousand_mutants_of_a_request_are_answered_without_a_failure_of_the_server()
    {
        await using TinyServer server = TinyServer.Start();
        const string Request = """
            {"prompt": ["a", "be"], "max_tokens": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "n": 1, "stop": ["x", "y"],
             "logprobs": 2, "logit_bias": {"65": 1.5}, "seed": 3, "echo": false, "stream": false, "user": "me"}
            """;
        Random random = new(11);
        string[] pieces = ["\"", "{", "}", "[", "]", ",", ":", "null", "true", "-1", "1e400", "99999999999", "\\u0000", "\ud800", "NaN", ""];
        for (int i = 0; i < 2000; i++)
        {
            string body = Request;
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                int at = random.Next(body.Length), length = Math.Min(random.Next(0, 6), body.Length - at);
                body = body[..at] + pieces[random.Next(pieces.Length)] + body[(at + length)..];
            }
            using HttpResponseMessage answer = await server.Client.PostAsync("/v1/completions", new StringContent(body));
            Assert.True((int)answer.StatusCode < 500, $"{(int)answer.StatusCode} for {body}");
        }
    }

    private static async Task<JsonNode> Complete(TinyServer server, JsonObject request)
    {
        (int status, JsonNode body) = await server.Post("/v1/completions", request.ToJsonString());
        Assert.True(status == 200, body.ToJsonString());
        return body;
    }

    private static async Task<(List<JsonNode> Events, string Last)> Events(TinyServer server, JsonObject request)
    {
        using HttpResponseMessage answer = await server.Client.PostAsync("/v1/completions", new StringContent(request.ToJsonString()));
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        List<string> events = [];
        await foreach (SseItem<string> item in SseParser.Create(await answer.Content.ReadAsStreamAsync()).EnumerateAsync())
            events.Add(item.Data);
        return ([.. events[..^1].Select(text => JsonNode.Parse(text)!)], events[^1]);
    }

    private static string Text(Random random, int length) =>
        string.Create(length, random, (span, source) =>
        {
            for (int i = 0; i < span.Length; i++) span[i] = (char)source.Next('a', 'z' + 1);
        });
}
