using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Serving.Tests;

/// <summary>A server of a tiny model over bytes with large random weights, whose texts depend on all it has read.</summary>
internal sealed class TinyServer : IAsyncDisposable
{
    public const int Context = 64;

    private readonly Trainer.Tests.TemporaryDirectory directory = new();
    private readonly Checkpoint checkpoint;
    private readonly ModelServer server;

    private TinyServer(ModelOptions options, ServerOptions? settings, string? chatTemplate)
    {
        checkpoint = Write(options, directory.File("checkpoint"));
        if (chatTemplate is not null)
            File.WriteAllText(
                Path.Combine(checkpoint.Directory, "chat_template.json"), new JsonObject { ["template"] = chatTemplate }.ToJsonString());
        server = ModelServer.StartAsync(checkpoint, CPU, options: (settings ?? new()) with { Port = 0 }).GetAwaiter().GetResult();
        Client = new() { BaseAddress = server.Address };
    }

    public HttpClient Client { get; }

    public static ModelOptions Decoder { get; } = new DecoderOptions
    {
        Dim = 32, Layers = 2, ContextLength = Context, Attention = new MultiHeadOptions { Heads = 2 },
    };

    /// <summary>Of latent attention, which the decoder for CPUs does not take.</summary>
    public static ModelOptions LatentDecoder { get; } = new DecoderOptions
    {
        Dim = 32, Layers = 2, ContextLength = Context, Attention = new LatentOptions { Heads = 2, HeadDim = 16, KeyValueRank = 16 },
    };

    public static ModelOptions Encoder { get; } = new EncoderOptions
    {
        Dim = 32, Layers = 2, ContextLength = Context, Attention = new MultiHeadOptions { Heads = 2 },
    };

    public static TinyServer Start(ModelOptions? options = null, ServerOptions? settings = null, string? chatTemplate = null) =>
        new(options ?? Decoder, settings, chatTemplate);

    public LanguageModel LoadModel() => checkpoint.LoadModel(CPU);

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

    public async Task<int> Running()
    {
        string metrics = await Client.GetStringAsync("/metrics");
        return (int)double.Parse(metrics.Split('\n').Single(line => line.StartsWith("trainer_requests_running ")).Split(' ')[1]);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await server.DisposeAsync();
        directory.Dispose();
    }

    private static Checkpoint Write(ModelOptions options, string path)
    {
        manual_seed(5);
        using LanguageModel model = options.Build(256);
        using (no_grad())
            foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(20);
        CheckpointConfiguration configuration = new()
        {
            Name = "tiny", Model = options, Tokenizer = new ByteTokenizerOptions(), Data = new() { Train = [new() { Path = "none.txt" }] },
        };
        return Checkpoint.Write(path, configuration, ByteTokenizer.Instance, model);
    }
}
