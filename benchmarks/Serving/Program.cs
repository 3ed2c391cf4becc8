// Asks a server of OpenAI's completions (`serve`, llama.cpp's llama-server, vLLM) from many clients at once, and prints what it did as JSON:
//   dotnet run -c Release --project benchmarks/Serving -- http://127.0.0.1:8080 --text README.md --clients 16 --requests 200
// Prompts are stretches of the text, of random lengths. Streamed answers show the time to the first token; whole ones cost the client less.
using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

Argument<string> server = new("server") { Description = "Where it listens, such as http://127.0.0.1:8080." };
Option<FileInfo> text = new("--text") { Description = "Where prompts are taken from.", Required = true };
Option<int> clients = new("--clients") { Description = "Requests at a time.", DefaultValueFactory = _ => 16 };
Option<int> requests = new("--requests") { Description = "Requests in all.", DefaultValueFactory = _ => 200 };
Option<int> tokens = new("--tokens") { Description = "Tokens to generate for each.", DefaultValueFactory = _ => 64 };
Option<int> longest = new("--longest") { Description = "Characters of the longest prompt.", DefaultValueFactory = _ => 400 };
Option<string> system = new("--system") { Description = "What every prompt begins with.", DefaultValueFactory = _ => "" };
Option<bool> stream = new("--stream") { Description = "Whether answers are streamed." };
Option<FileInfo?> texts = new("--texts") { Description = "Where prompts and what followed are written, a JSON object a line." };
RootCommand root = new("Measures a server of completions.") { server, text, clients, requests, tokens, longest, system, stream, texts };
root.SetAction(async (parsed, _) =>
{
    string all = await File.ReadAllTextAsync(parsed.GetRequiredValue(text).FullName, CancellationToken.None);
    bool streams = parsed.GetValue(stream);
    Random random = new(1);
    Queue<string> prompts = new(Enumerable.Range(0, parsed.GetValue(requests)).Select(_ =>
    {
        int length = random.Next(1, parsed.GetValue(longest) + 1);
        return parsed.GetValue(system) + all.Substring(random.Next(all.Length - length), length);
    }));
    using HttpClient http = new() { BaseAddress = new(parsed.GetRequiredValue(server)), Timeout = Timeout.InfiniteTimeSpan };
    List<Answer> answers = [];
    List<string> failures = [];
    Stopwatch watch = Stopwatch.StartNew();
    await Task.WhenAll(Enumerable.Range(0, parsed.GetValue(clients)).Select(_ => Task.Run(async () =>
    {
        while (true)
        {
            string prompt;
            lock (prompts)
                if (!prompts.TryDequeue(out prompt!)) return;
            try
            {
                Answer answer = await Ask(http, prompt, parsed.GetValue(tokens), streams);
                lock (answers) answers.Add(answer);
            }
            catch (Exception error)
            {
                lock (failures) failures.Add(error.GetBaseException().Message);
            }
        }
    })));
    double seconds = watch.Elapsed.TotalSeconds;
    if (parsed.GetValue(texts) is { } file)
        await File.WriteAllLinesAsync(
            file.FullName, answers.Select(answer => JsonSerializer.Serialize(new { prompt = answer.Prompt, text = answer.Text })));
    Console.WriteLine(JsonSerializer.Serialize(new
    {
        answers = answers.Count,
        failures = failures.Count,
        failure = failures.FirstOrDefault(),
        seconds,
        promptTokens = answers.Sum(answer => answer.PromptTokens),
        cachedTokens = answers.Sum(answer => answer.CachedTokens),
        tokens = answers.Sum(answer => answer.Tokens),
        tokensPerSecond = answers.Sum(answer => answer.Tokens) / seconds,
        firstToken = streams ? Percentiles(answers.Select(answer => answer.FirstToken)) : null,
        whole = Percentiles(answers.Select(answer => answer.Whole)),
    }));
    return failures.Count == 0 ? 0 : 1;
});
return await root.Parse(args).InvokeAsync();

static async Task<Answer> Ask(HttpClient http, string prompt, int tokens, bool streams)
{
    string body = JsonSerializer.Serialize(new Dictionary<string, object>
    {
        ["prompt"] = prompt, ["max_tokens"] = tokens, ["temperature"] = 0, ["stream"] = streams,
        ["stream_options"] = new { include_usage = streams },
    }.Where(entry => streams || entry.Key != "stream_options").ToDictionary());
    long begin = Stopwatch.GetTimestamp();
    using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions")
    {
        Content = new StringContent(body, null, "application/json"),
    };
    using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    if (!response.IsSuccessStatusCode) throw new HttpRequestException(await response.Content.ReadAsStringAsync());
    double first = double.NaN;
    string last = "", text = "";
    if (streams)
    {
        using StreamReader lines = new(await response.Content.ReadAsStreamAsync());
        while (await lines.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("data: ", StringComparison.Ordinal) || line == "data: [DONE]") continue;
            if (double.IsNaN(first)) first = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            last = line[6..];
            text += TextOf(JsonNode.Parse(last)!);
        }
    }
    else
    {
        last = await response.Content.ReadAsStringAsync();
        text = TextOf(JsonNode.Parse(last)!);
    }
    JsonNode usage = JsonNode.Parse(last)!["usage"] ?? throw new InvalidDataException($"no usage: {last}");
    return new(
        prompt, text, (int)usage["prompt_tokens"]!, (int?)usage["prompt_tokens_details"]?["cached_tokens"] ?? 0,
        (int)usage["completion_tokens"]!, first, Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
}

// The last event of a stream, with the usage, has none.
static string TextOf(JsonNode answer) => answer["choices"] is JsonArray { Count: > 0 } choices ? (string?)choices[0]!["text"] ?? "" : "";

// In milliseconds.
static object Percentiles(IEnumerable<double> times)
{
    double[] sorted = [.. times.Order()];
    double At(double part) => sorted.Length == 0 ? double.NaN : Math.Round(sorted[(int)(part * (sorted.Length - 1))], 1);
    return new { p50 = At(0.5), p95 = At(0.95), most = At(1) };
}

internal sealed record Answer(
    string Prompt, string Text, int PromptTokens, int CachedTokens, int Tokens, double FirstToken, double Whole);
