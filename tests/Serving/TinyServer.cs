using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Inference.Serving;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Serving.Tests;

/// <summary>A server of a tiny model, by default over bytes, with large random weights, whose texts depend on all it has read.</summary>
internal sealed class TinyServer : IAsyncDisposable
{
    public const int Context = TinyCheckpoint.Context;

    private readonly TemporaryDirectory directory = new();
    private readonly Checkpoint checkpoint;
    private readonly ModelServer server;

    private TinyServer(
        ModelOptions options, ServerOptions? settings, string? chatTemplate, Func<Checkpoint, NamedAdapter[]>? adapters,
        Tokenizer? tokenizer = null)
    {
        checkpoint = TinyCheckpoint.Write(options, directory.File("checkpoint"), chatTemplate, tokenizer: tokenizer);
        settings = (settings ?? new()) with { Port = 0, Adapters = adapters?.Invoke(checkpoint) ?? [] };
        server = ModelServer.StartAsync(checkpoint, CPU, options: settings).GetAwaiter().GetResult();
        Client = new() { BaseAddress = server.Address };
    }

    public HttpClient Client { get; }

    public static ModelOptions Decoder => TinyCheckpoint.Decoder;

    public static ModelOptions Encoder => TinyCheckpoint.Encoder;

    /// <summary>Of latent attention, which the decoder for CPUs does not take.</summary>
    public static ModelOptions LatentDecoder { get; } = new DecoderOptions
    {
        Dim = 32, Layers = 2, ContextLength = Context, Attention = new LatentOptions { Heads = 2, HeadDim = 16, KeyValueRank = 16 },
    };

    public static TinyServer Start(
        ModelOptions? options = null, ServerOptions? settings = null, string? chatTemplate = null, Tokenizer? tokenizer = null) =>
        new(options ?? Decoder, settings, chatTemplate, null, tokenizer);

    /// <summary>With adapters: <c>pirate</c>, and <c>talker</c>, which has a chat template.</summary>
    /// <param name="directory">Where they are written.</param>
    public static TinyServer StartWithAdapters(TemporaryDirectory directory) => new(Decoder, null, null, original =>
    [
        .. new[] { ("pirate", 1, null), ("talker", 2, Template) }.Select(one => new NamedAdapter(one.Item1, TinyAdapter.Write(
            original, directory.File(one.Item1), new() { Rank = 2, Targets = ["*"] }, one.Item2, one.Item3).Directory)),
    ]);

    /// <summary>Messages with | behind each, and a colon.</summary>
    public const string Template =
        "{% for message in messages %}{{ message.content }}|{% endfor %}{% if add_generation_prompt %}:{% endif %}";

    /// <summary>What <c>generate --greedy</c> says.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="tokens">How many tokens.</param>
    /// <param name="of">A checkpoint of an adapter; null for the base.</param>
    public string Greedy(string prompt, int tokens, string? of = null)
    {
        using LanguageModel model = (of is null ? checkpoint : Checkpoint.Open(of)).LoadModel(CPU);
        TextGenerator generator = new(model, checkpoint.Tokenizer, CPU);
        return string.Concat(generator.Stream(prompt, new() { Tokens = tokens, Sampling = new() { Greedy = true } }));
    }

    public float[] NextLogits(IReadOnlyList<int> ids)
    {
        using IDisposable inference = inference_mode();
        using LanguageModel model = checkpoint.LoadModel(CPU);
        using Tensor tokens = tensor([.. ids.Select(id => (long)id)], [1, ids.Count]), logits = model.forward(tokens); // (1, T, V)
        return [.. logits.select(1, ids.Count - 1).to(ScalarType.Float32).data<float>()];
    }

    public async Task<(int Status, JsonNode Body)> Post(string path, string body)
    {
        using HttpResponseMessage answer = await Client.PostAsync(path, new StringContent(body));
        return ((int)answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!);
    }

    /// <summary>Requests that are still being generated after a while: a text has its last token before the engine lets it go.</summary>
    public async Task<int> RunningAtTheEnd()
    {
        DateTime end = DateTime.UtcNow.AddSeconds(20);
        while (true)
        {
            int running = await Metric("trainer_requests_running");
            if (running == 0 || DateTime.UtcNow > end) return running;
            await Task.Delay(20);
        }
    }

    public async Task<int> Metric(string name)
    {
        string metrics = await Client.GetStringAsync("/metrics");
        return (int)double.Parse(metrics.Split('\n').Single(line => line.StartsWith(name + " ")).Split(' ')[1]);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await server.DisposeAsync();
        directory.Dispose();
    }
}
