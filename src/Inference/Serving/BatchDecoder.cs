// Shapes: B sequences, V vocabulary.
using Trainer.Configuration;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference.Serving;

/// <summary>Decodes sequences of different lengths side by side; they join and leave between tokens.</summary>
internal interface IBatchDecoder : IDisposable
{
    /// <summary>The most sequences at a time.</summary>
    int Capacity { get; }

    /// <summary>Adds a sequence behind the present ones. Logits (V) of its next token, valid until the next call.</summary>
    ReadOnlySpan<float> Add(IReadOnlyList<int> prompt, IReadOnlyList<int>? source);

    /// <summary>Adds a token to each sequence. Logits (B, V), valid until the next call.</summary>
    ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens);

    /// <summary>Removes sequences; the others keep their order.</summary>
    /// <param name="kept">Indices of those that stay, ascending.</param>
    void Keep(IReadOnlyList<int> kept);

    /// <exception cref="ConfigurationException">The decoder for CPUs does not take so many.</exception>
    static IBatchDecoder Create(LanguageModel model, Device device, int capacity)
    {
        if (!CpuDecoder.Supports(model)) return new SeparateDecoders(model, device, capacity);
        return capacity <= CpuDecoder.MaxSequences
            ? new CpuBatchDecoder(model, capacity)
            : throw new ConfigurationException([new("", $"--parallel ({capacity}) must be 1 to {CpuDecoder.MaxSequences}: so many texts " +
                "the decoder for CPUs takes side by side; further requests wait")]);
    }
}

/// <summary>Decodes in one batch on a CPU: a token of each sequence costs little more than one, because each weight is read once for
/// all.</summary>
internal sealed class CpuBatchDecoder(LanguageModel model, int capacity) : IBatchDecoder
{
    private readonly CpuDecoder decoder = new(model, capacity, model.ContextLength);

    public int Capacity => capacity;

    public ReadOnlySpan<float> Add(IReadOnlyList<int> prompt, IReadOnlyList<int>? source) => decoder.Add(prompt);

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens) => decoder.Next(tokens);

    public void Keep(IReadOnlyList<int> kept) => decoder.Reorder(kept);

    public void Dispose() => decoder.Dispose();
}

/// <summary>Decodes each sequence for itself, a token of one after a token of another: every architecture on every device.</summary>
internal sealed class SeparateDecoders(LanguageModel model, Device device, int capacity) : IBatchDecoder
{
    private List<IDecoder> decoders = [];
    private float[] logits = [];

    public int Capacity => capacity;

    public ReadOnlySpan<float> Add(IReadOnlyList<int> prompt, IReadOnlyList<int>? source)
    {
        Tensor? read = source is null
            ? null
            : tensor([.. source.Select(id => (long)id)], [1, source.Count], dtype: ScalarType.Int64).to(device);
        IDecoder decoder = new ModelDecoder(model, device, model.ContextLength, read is null ? null : new ModelInput(read));
        try
        {
            ReadOnlySpan<float> next = decoder.Begin(prompt);
            decoders.Add(decoder);
            return next;
        }
        catch
        {
            decoder.Dispose();
            throw;
        }
        finally
        {
            read?.Dispose();
        }
    }

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens)
    {
        int vocabulary = model.VocabularySize;
        if (logits.Length < tokens.Length * vocabulary) logits = new float[tokens.Length * vocabulary];
        for (int i = 0; i < tokens.Length; i++) decoders[i].Next([tokens[i]]).CopyTo(logits.AsSpan(i * vocabulary));
        return logits.AsSpan(0, tokens.Length * vocabulary);
    }

    public void Keep(IReadOnlyList<int> kept)
    {
        List<IDecoder> staying = [.. kept.Select(index => decoders[index])];
        foreach (IDecoder decoder in decoders.Except(staying)) decoder.Dispose();
        decoders = staying;
    }

    public void Dispose()
    {
        foreach (IDecoder decoder in decoders) decoder.Dispose();
        decoders = [];
    }
}
