using Trainer.Configuration;
using Trainer.Inference.Serving;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Serving.Tests;

public class GenerationEngineTests
{
    private static GenerationRequest Request => new() { Prompt = [116, 111], MaxTokens = 60 };

    [Fact]
    public async Task More_than_the_queue_holds_are_refused_and_the_others_are_served()
    {
        await using TinyServer server = TinyServer.Start();
        using LanguageModel model = server.LoadModel();
        using GenerationEngine engine = new(model, 256, CPU, new() { Parallel = 1, QueueLength = 2 });
        List<GenerationStream> streams = [];
        Assert.Throws<EngineBusyException>(() =>
        {
            for (int i = 0; i < 100; i++) streams.Add(engine.Generate(Request));
        });

        Assert.True(streams.Count >= 3);
        foreach (GenerationStream stream in streams)
            Assert.Equal(FinishReason.Length, (await stream.LastAsync()).Finish);
    }

    [Fact]
    public async Task What_runs_and_waits_ends_with_the_engine()
    {
        await using TinyServer server = TinyServer.Start();
        using LanguageModel model = server.LoadModel();
        GenerationEngine engine = new(model, 256, CPU, new() { Parallel = 1 });
        GenerationStream[] streams = [.. Enumerable.Range(0, 50).Select(_ => engine.Generate(Request))];
        engine.Dispose();

        await Assert.ThrowsAsync<OperationCanceledException>(async () => await streams[^1].LastAsync());
        Assert.Throws<ObjectDisposedException>(() => engine.Generate(Request));
    }

    [Fact]
    public async Task More_side_by_side_than_the_decoder_takes_is_an_error()
    {
        await using TinyServer server = TinyServer.Start();
        using LanguageModel model = server.LoadModel();
        Assert.Contains("--parallel (9) must be 1 to 8", Assert.Throws<ConfigurationException>(
            () => new GenerationEngine(model, 256, CPU, new() { Parallel = 9 })).Message);
    }
}
