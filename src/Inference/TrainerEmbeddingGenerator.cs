using Microsoft.Extensions.AI;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Models.Devices;

namespace Trainer.Inference;

/// <summary>Embeds texts through <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> of Microsoft.Extensions.AI.</summary>
/// <remarks>Thread-safe; one call computes at a time. Options that the model cannot honour are errors that name them.</remarks>
public sealed class TrainerEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly TextEmbedder embedder;
    private readonly EmbeddingGeneratorMetadata metadata;
    private readonly SemaphoreSlim turn = new(1);
    private bool ownsEmbedder;

    /// <summary>Embeds with an embedder that stays when the generator is disposed of, and that nobody else uses meanwhile.</summary>
    /// <param name="embedder">What embeds.</param>
    /// <param name="modelId">The model's name.</param>
    public TrainerEmbeddingGenerator(TextEmbedder embedder, string modelId)
    {
        ArgumentNullException.ThrowIfNull(embedder);
        this.embedder = embedder;
        metadata = new(TrainerChatClient.ProviderName, defaultModelId: modelId, defaultModelDimensions: embedder.Dimensions);
    }

    /// <summary>Opens a checkpoint's directory or a run's best, else newest; vectors have length 1 unless told otherwise.</summary>
    /// <exception cref="UserException">There is none, it is damaged, or it does not fit the device.</exception>
    public static TrainerEmbeddingGenerator Open(
        string path, Pooling pooling = Pooling.Mean, bool normalize = true, DeviceChoice device = DeviceChoice.Auto)
    {
        Checkpoint checkpoint = Checkpoint.Open(path);
        return new(TextEmbedder.Open(checkpoint, pooling, normalize, device), checkpoint.Configuration.Name) { ownsEmbedder = true };
    }

    /// <inheritdoc/>
    /// <exception cref="ConfigurationException">Options cannot be honoured; all are named.</exception>
    /// <exception cref="UserException">A text is empty or too long, or the model is an encoder-decoder.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        Problem[] problems = [.. Problems(options ?? new())];
        if (problems.Length > 0) throw new ConfigurationException(problems, nameof(EmbeddingGenerationOptions));
        string[] texts = [.. values];
        await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            (IReadOnlyList<float[]> vectors, int tokens) = await Task.Run(
                () => (embedder.Embed(texts, out int count), count), cancellationToken).ConfigureAwait(false);
            DateTimeOffset created = DateTimeOffset.UtcNow;
            return new(vectors.Select(vector => new Embedding<float>(vector) { CreatedAt = created, ModelId = metadata.DefaultModelId }))
            {
                Usage = new() { InputTokenCount = tokens, TotalTokenCount = tokens },
            };
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>The generator itself, its <see cref="EmbeddingGeneratorMetadata"/>, or the <see cref="TextEmbedder"/> behind it.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(EmbeddingGeneratorMetadata) ? metadata
            : serviceType == typeof(TextEmbedder) ? embedder
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <summary>Frees the model that <see cref="Open"/> loaded; an embedder that was given stays.</summary>
    public void Dispose()
    {
        turn.Dispose();
        if (ownsEmbedder) embedder.Dispose();
    }

    private IEnumerable<Problem> Problems(EmbeddingGenerationOptions options)
    {
        if (options.ModelId is { } wanted && wanted != metadata.DefaultModelId)
            yield return new(nameof(options.ModelId), $"there is no model '{wanted}' here; this generator has '{metadata.DefaultModelId}'");
        if (options.Dimensions is { } dimensions && dimensions != embedder.Dimensions)
            yield return new(
                nameof(options.Dimensions), $"{dimensions} must be left out, or {embedder.Dimensions}: the model's vectors have so many");
        if (options.RawRepresentationFactory is not null)
            yield return new(nameof(options.RawRepresentationFactory), "there is no other form of the options");
        if (options.AdditionalProperties is { Count: > 0 } further)
            yield return new(nameof(options.AdditionalProperties), $"none is known: {string.Join(", ", further.Keys)}");
    }
}
