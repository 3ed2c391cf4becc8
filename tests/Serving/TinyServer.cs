using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Serving.Tests;

/// <summary>A server of a tiny model over bytes with large random weights, whose texts depend on all it has read.</summary>
internal sealed class TinyServer : IAsyncDisposable
{
    public const int Context = TinyCheckpoint.Context;

    private readonly TemporaryDirectory directory = new();
    private readonly Checkpoint checkpoint;
    private readonly ModelServer server;

    private TinyServer(ModelOptions options, ServerOptions? settings, string? chatTemplate)
    {
        checkpoint = TinyCheckpoint.Write(options, directory.File("checkpoint"), chatTemplate);
        server = ModelServer.StartAsync(checkpoint, CPU, options: (settings ?? new()) with { Port = 0 }).GetAwaiter().GetResult();
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

    public static TinyServer Start(ModelOptions? options = null, ServerOptions? settings = null, string? chatTemplate = null) =>
        new(options ?? Decoder, settings, chatTemplate);

    /// <summary>What <c>generate --greedy</c> says.</summary>
    public string Greedy(string prompt, int tokens)
    {
        using LanguageModel model = checkpoint.LoadModel(CPU);
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
