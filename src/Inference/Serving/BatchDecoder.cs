// Shapes: B sequences, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Inference.Paging;
using Trainer.Models;
using Trainer.Models.Attention.Caches;
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
    /// <param name="request">Its prompt, what an encoder-decoder reads, and its adapter.</param>
    /// <param name="continuation">Tokens that were generated after the prompt before it was interrupted.</param>
    bool TryAdd(GenerationRequest request, IReadOnlyList<int> continuation);

    /// <summary>Reads a piece of it. Logits (V) of its next token, valid until the next call; nothing where there is more to read.</summary>
    ReadOnlySpan<float> Read();

    /// <summary>Gives up the sequence being read, if any.</summary>
    void StopReading();

    /// <summary>Makes room for another token of each sequence; false where there is none now.</summary>
    bool TryReserveNext();

    /// <summary>Adds a token to each sequence. Logits (B, V), valid until the next call.</summary>
    ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens);

    /// <summary>Removes sequences; the others keep their order. One that is named several times goes on as so many.</summary>
    /// <param name="kept">Indices of those that stay, ascending.</param>
    void Keep(IReadOnlyList<int> kept);

    /// <exception cref="ConfigurationException">The decoder for CPUs does not take so many.</exception>
    static IBatchDecoder Create(LanguageModel model, Device device, EngineOptions options)
    {
        int capacity = options.Parallel;
        if (options.CacheTokens < model.ContextLength)
            throw new ConfigurationException([new("", $"--cache-tokens ({options.CacheTokens}) must be at least the model's context " +
                $"({model.ContextLength}), which one text may fill")]);
        if (!CpuDecoder.Supports(model)) return new ModelBatchDecoder(model, device, capacity, options.CacheTokens);
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

    public bool TryAdd(GenerationRequest request, IReadOnlyList<int> continuation) => decoder.TryAdd(request.Prompt, continuation);

    public ReadOnlySpan<float> Read() => decoder.Read();

    public void StopReading() => decoder.StopReading();

    public bool TryReserveNext() => decoder.TryReserveNext();

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens) => decoder.Next(tokens);

    public void Keep(IReadOnlyList<int> kept) => decoder.Reorder(kept);

    public void Dispose() => decoder.Dispose();
}

/// <summary>Decodes in one batch through the model: every architecture on every device, each sequence with its own adapter. A token of all
/// sequences is one pass; prompts are read in passes of their own, a piece at a time.</summary>
internal sealed class ModelBatchDecoder(LanguageModel model, Device device, int capacity, int? cacheTokens) : IBatchDecoder
{
    // A GPU reads long pieces in hardly more time than short ones.
    private readonly int piece = Math.Max(model.PrefixLength, device.type == DeviceType.CPU ? PromptReading.Piece : 512);
    private readonly DecodingState batch = DecodingState.NewBatch(model.ContextLength, device);
    private readonly long most = cacheTokens ?? (long)capacity * model.ContextLength;
    private Reading? reading;
    private float[] logits = [];

    public int Capacity => capacity;

    public double MemoryUse => (double)Tokens(batch.Batch, batch.Length) / most;

    public int SharedTokens => 0;

    public bool TryAdd(GenerationRequest request, IReadOnlyList<int> continuation)
    {
        int[] tokens = [.. request.Prompt, .. continuation];
        if (reading is not null || batch.Batch == capacity || !Fits(batch.Batch + 1, tokens.Length + 1)) return false;
        reading = new(tokens, request);
        return true;
    }

    public ReadOnlySpan<float> Read()
    {
        Reading one = reading!;
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        one.State ??= model.NewDecodingState(1, model.ContextLength, Source(one.Request.Source), one.Request.Adapter);
        int[] tokens = [.. one.Tokens.Skip(one.State.Length).Take(piece)];
        ReadOnlySpan<float> next = one.State.Add(tokens, model, device, ref logits);
        if (one.State.Length < one.Tokens.Length) return [];
        batch.Append(one.State);
        StopReading();
        return next;
    }

    public void StopReading()
    {
        reading?.State?.Dispose();
        reading = null;
    }

    public bool TryReserveNext() => reading is null
        ? Fits(batch.Batch, batch.Length + 1)
        : Fits(batch.Batch + 1, Math.Max(batch.Length, reading.Tokens.Length) + 1);

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens)
    {
        using IDisposable inference = inference_mode();
        return batch.Add(tokens, model, device, ref logits);
    }

    public void Keep(IReadOnlyList<int> kept) => batch.Reorder(kept);

    public void Dispose()
    {
        StopReading();
        batch.Dispose();
    }

    // One sequence fits always.
    private bool Fits(int sequences, int length) => Tokens(sequences, Math.Max(batch.Length, length)) <= most;

    // Sequences are padded to the longest.
    private long Tokens(int sequences, int length) =>
        (long)sequences * Math.Min(BatchCache.SlotsFor(length), model.ContextLength);

    private ModelInput? Source(IReadOnlyList<int>? ids) =>
        ids is null ? null : new(tensor([.. ids.Select(id => (long)id)], [1, ids.Count], dtype: ScalarType.Int64).to(device));

    private sealed class Reading(int[] tokens, GenerationRequest request)
    {
        public int[] Tokens => tokens;

        public GenerationRequest Request => request;

        public DecodingState? State { get; set; }
    }
}
