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

    /// <summary>How much of the memory for keys and values is taken, 0 to 1; what is kept of earlier prompts counts, too.</summary>
    double MemoryUse { get; }

    /// <summary>Tokens of the prompt being read that were known already.</summary>
    int SharedTokens { get; }

    /// <summary>Begins to read a sequence that is added behind the present ones; false where there is no room for it now. There is always
    /// room for one sequence.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="continuation">Those that were generated after the prompt before it was interrupted.</param>
    /// <param name="source">What an encoder-decoder reads.</param>
    bool TryAdd(IReadOnlyList<int> prompt, IReadOnlyList<int> continuation, IReadOnlyList<int>? source);

    /// <summary>Reads a piece of it. Logits (V) of its next token, valid until the next call; nothing where there is more to read.</summary>
    ReadOnlySpan<float> Read();

    /// <summary>Gives up the sequence being read, if any.</summary>
    void StopReading();

    /// <summary>Makes room for another token of each sequence; false where there is none now.</summary>
    bool TryReserveNext();

    /// <summary>Adds a token to each sequence. Logits (B, V), valid until the next call.</summary>
    ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens);

    /// <summary>Removes sequences; the others keep their order.</summary>
    /// <param name="kept">Indices of those that stay, ascending.</param>
    void Keep(IReadOnlyList<int> kept);

    /// <exception cref="ConfigurationException">The decoder for CPUs does not take so many.</exception>
    static IBatchDecoder Create(LanguageModel model, Device device, EngineOptions options)
    {
        int capacity = options.Parallel;
        if (options.CacheTokens < model.ContextLength)
            throw new ConfigurationException([new("", $"--cache-tokens ({options.CacheTokens}) must be at least the model's context " +
                $"({model.ContextLength}), which one text may fill")]);
        if (!CpuDecoder.Supports(model))
            return options.CacheTokens is null
                ? new SeparateDecoders(model, device, capacity)
                : throw new ConfigurationException([new("", "--cache-tokens is for models that the decoder for CPUs takes; this one's " +
                    "texts each have a cache of their own: leave it out")]);
        return capacity <= CpuDecoder.MaxSequences
            ? new CpuBatchDecoder(model, capacity, options.CacheTokens)
            : throw new ConfigurationException([new("", $"--parallel ({capacity}) must be 1 to {CpuDecoder.MaxSequences}: so many texts " +
                "the decoder for CPUs takes side by side; further requests wait")]);
    }
}

/// <summary>Decodes in one batch on a CPU: a token of each sequence costs little more than one, because each weight is read once for all;
/// prompts that begin alike share what was read.</summary>
internal sealed class CpuBatchDecoder(LanguageModel model, int capacity, int? cacheTokens) : IBatchDecoder
{
    private readonly CpuDecoder decoder = new(model, capacity, model.ContextLength, sharesPrefixes: true, cacheTokens);

    public int Capacity => capacity;

    public double MemoryUse => decoder.MemoryUse;

    public int SharedTokens => decoder.SharedTokens;

    public bool TryAdd(IReadOnlyList<int> prompt, IReadOnlyList<int> continuation, IReadOnlyList<int>? source) =>
        decoder.TryAdd(prompt, continuation);

    public ReadOnlySpan<float> Read() => decoder.Read();

    public void StopReading() => decoder.StopReading();

    public bool TryReserveNext() => decoder.TryReserveNext();

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens) => decoder.Next(tokens);

    public void Keep(IReadOnlyList<int> kept) => decoder.Reorder(kept);

    public void Dispose() => decoder.Dispose();
}

/// <summary>Decodes each sequence for itself, a token of one after a token of another: every architecture on every device.</summary>
internal sealed class SeparateDecoders(LanguageModel model, Device device, int capacity) : IBatchDecoder
{
    private List<IDecoder> decoders = [];
    private float[] logits = [];
    private (IReadOnlyList<int> Prompt, IReadOnlyList<int>? Source)? reading;

    public int Capacity => capacity;

    public double MemoryUse => (double)decoders.Count / capacity;

    public int SharedTokens => 0;

    public bool TryAdd(IReadOnlyList<int> prompt, IReadOnlyList<int> continuation, IReadOnlyList<int>? source)
    {
        if (continuation.Count > 0) throw new ArgumentException("No sequence is interrupted here.", nameof(continuation));
        if (decoders.Count == capacity) return false;
        reading = (prompt, source);
        return true;
    }

    public ReadOnlySpan<float> Read()
    {
        (IReadOnlyList<int> prompt, IReadOnlyList<int>? source) = reading!.Value;
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
            reading = null;
            read?.Dispose();
        }
    }

    public void StopReading() => reading = null;

    public bool TryReserveNext() => true;

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
