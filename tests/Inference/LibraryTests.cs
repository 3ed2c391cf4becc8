using Microsoft.Extensions.AI;
using Trainer.Inference.Serving;
using Trainer.Models.Devices;
using Trainer.Tests;

namespace Trainer.Inference.Tests;

/// <summary>What docs/library.md shows.</summary>
public sealed class LibraryTests : IDisposable
{
    private const string Template = "{% for message in messages %}{{ message.content }}|{% endfor %}";

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_text_is_continued()
    {
        string run = TinyCheckpoint.Write(TinyCheckpoint.Decoder, directory.File("run")).Directory;

        using TextGenerator generator = TextGenerator.Open(run);
        string text = generator.Generate("ROMEO:");
        Assert.NotEmpty(text);

        GenerationOptions options = new() { Tokens = 100, Sampling = new() { Temperature = 0.7, TopP = 0.9, Seed = 5 } };
        foreach (string piece in generator.Stream("ROMEO:", options)) Console.Write(piece);
    }

    [Fact]
    public async Task A_model_is_talked_to()
    {
        string run = TinyCheckpoint.Write(TinyCheckpoint.Decoder, directory.File("run"), Template).Directory;

        using IChatClient client = TrainerChatClient.Open(run);
        ChatResponse answer = await client.GetResponseAsync("Who are you?", new() { Temperature = 0.7f, MaxOutputTokens = 20 });
        Console.WriteLine($"{answer.Text} ({answer.Usage?.OutputTokenCount} tokens, ended by {answer.FinishReason})");
        Assert.NotEmpty(answer.Text);
    }

    [Fact]
    public async Task Texts_are_embedded()
    {
        string run = TinyCheckpoint.Write(TinyCheckpoint.Encoder, directory.File("run")).Directory;

        using IEmbeddingGenerator<string, Embedding<float>> embedder = TrainerEmbeddingGenerator.Open(run);
        ReadOnlyMemory<float> vector = await embedder.GenerateVectorAsync("a text");
        Assert.Equal(32, vector.Length);
    }

    [Fact]
    public async Task Many_callers_share_a_model()
    {
        string run = TinyCheckpoint.Write(TinyCheckpoint.Decoder, directory.File("run")).Directory;
        CancellationToken cancellation = TestContext.Current.CancellationToken;

        using LoadedModel model = LoadedModel.Open(run, DeviceChoice.Cpu, options: new() { Parallel = 4 });
        using GeneratedText text = model.Generate(model.Request("ROMEO:") with { MaxTokens = 20 }, stops: ["JULIET:"]);
        await foreach (TextPiece piece in text.WithCancellation(cancellation)) Console.Write(piece.Text);
        Assert.InRange(text.Tokens, 1, 20);
    }
}
