using Microsoft.Extensions.AI;
using Trainer.Configuration;
using Trainer.Models.Devices;
using Trainer.Tests;

namespace Trainer.Inference.Tests;

public sealed class TrainerEmbeddingGeneratorTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly string checkpoint;
    private readonly TrainerEmbeddingGenerator generator;

    public TrainerEmbeddingGeneratorTests()
    {
        checkpoint = TinyCheckpoint.Write(TinyCheckpoint.Encoder, directory.File("checkpoint")).Directory;
        generator = TrainerEmbeddingGenerator.Open(checkpoint, device: DeviceChoice.Cpu);
    }

    public void Dispose()
    {
        generator.Dispose();
        directory.Dispose();
    }

    [Fact]
    public async Task Vectors_are_the_embedder_s_in_order_and_from_many_callers()
    {
        string[] texts = ["to be", "or", "not to be"];
        using TextEmbedder embedder = TextEmbedder.Open(checkpoint, normalize: true, device: DeviceChoice.Cpu);
        IReadOnlyList<float[]> expected = embedder.Embed(texts);

        GeneratedEmbeddings<Embedding<float>>[] answers = await Task.WhenAll(
            Enumerable.Range(0, 10).Select(_ => generator.GenerateAsync(texts)));

        Assert.All(answers, vectors => Assert.Equal(expected, vectors.Select(vector => vector.Vector.ToArray())));
        Assert.All(answers[0], vector => Assert.Equal(("tiny", 32), (vector.ModelId, vector.Dimensions)));
        Assert.Equal((16L, 16L), (answers[0].Usage!.InputTokenCount, answers[0].Usage!.TotalTokenCount));
    }

    public static TheoryData<string, EmbeddingGenerationOptions> NotHonoured => new()
    {
        { "Dimensions", new() { Dimensions = 16 } },
        { "ModelId", new() { ModelId = "other" } },
        { "AdditionalProperties", new() { AdditionalProperties = new() { ["truncate"] = true } } },
        { "RawRepresentationFactory", new() { RawRepresentationFactory = _ => null } },
    };

    [Theory]
    [MemberData(nameof(NotHonoured))]
    public async Task An_option_that_cannot_be_honoured_is_an_error_that_names_it(string name, EmbeddingGenerationOptions options) =>
        Assert.Equal(name, Assert.Single(
            (await Assert.ThrowsAsync<ConfigurationException>(() => generator.GenerateAsync(["a"], options))).Problems).Path);

    [Fact]
    public async Task The_model_s_own_dimensions_are_taken() =>
        Assert.Single(await generator.GenerateAsync(["a"], new() { Dimensions = 32, ModelId = "tiny" }));

    [Fact]
    public async Task The_library_s_middleware_works_around_it()
    {
        using IEmbeddingGenerator<string, Embedding<float>> wrapped = generator.AsBuilder().UseOpenTelemetry().Build();
        Assert.Equal(32, (await wrapped.GenerateVectorAsync("to be")).Length);
        EmbeddingGeneratorMetadata metadata = wrapped.GetService<EmbeddingGeneratorMetadata>()!;
        Assert.Equal(("trainer", "tiny", 32), (metadata.ProviderName, metadata.DefaultModelId, metadata.DefaultModelDimensions));
    }

    [Fact]
    public async Task A_text_that_is_empty_is_refused_and_a_call_can_be_cancelled()
    {
        await Assert.ThrowsAsync<UserException>(() => generator.GenerateAsync([""]));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => generator.GenerateAsync(["a"], null, new CancellationToken(canceled: true)));
        Assert.Single(await generator.GenerateAsync(["a"]));
    }
}
